/** The flags that every command has. Each may be set by KEYFERRY_<FLAG>; the flag itself comes first. */
import { Flags } from '@oclif/core';
import { durationFlag } from './duration.ts';

const helpGroup = 'EVERYWHERE';
export const defaultConfig = 'keyferry.yaml';

export const outputFlags = {
  config: Flags.string({
    char: 'c',
    summary: 'Configuration file.',
    default: defaultConfig,
    env: 'KEYFERRY_CONFIG',
    helpValue: 'FILE',
    helpGroup,
  }),
  json: Flags.boolean({ summary: 'One JSON document on stdout, on failure too.', env: 'KEYFERRY_JSON', helpGroup }),
  events: Flags.string({
    summary: 'Event stream, one JSON object a line; - is stdout, and the result then goes to stderr.',
    env: 'KEYFERRY_EVENTS',
    helpValue: 'FILE|-',
    helpGroup,
  }),
  'events-detail': Flags.option({ options: ['keys'] as const })({
    summary: 'Events, and log lines, for each key that is settled too.',
    env: 'KEYFERRY_EVENTS_DETAIL',
    helpGroup,
  }),
  quiet: Flags.boolean({
    char: 'q',
    summary: 'No progress and no notes; results, warnings and errors only.',
    env: 'KEYFERRY_QUIET',
    helpGroup,
  }),
  verbose: Flags.boolean({
    char: 'v',
    summary: 'Say more while working, and show where an error came from.',
    env: 'KEYFERRY_VERBOSE',
    helpGroup,
  }),
  'log-file': Flags.string({
    summary: 'Append everything, in full detail, as one JSON object a line.',
    env: 'KEYFERRY_LOG_FILE',
    helpValue: 'FILE',
    helpGroup,
  }),
  color: Flags.boolean({ summary: 'Colour, or none.', allowNo: true, env: 'KEYFERRY_COLOR', helpGroup }),
  progress: Flags.option({ options: ['auto', 'live', 'lines', 'none'] as const })({
    summary: 'How to show progress.',
    default: 'auto',
    env: 'KEYFERRY_PROGRESS',
    helpGroup,
  }),
  'no-input': Flags.boolean({ summary: 'Never ask; fail and name the flag.', env: 'KEYFERRY_NO_INPUT', helpGroup }),
  timeout: durationFlag({
    summary: 'Stop after this time: a run that writes stops at a checkpoint.',
    env: 'KEYFERRY_TIMEOUT',
    helpGroup,
  }),
};

/** The parsed values, as the rest of the program takes them. */
export interface OutputFlags {
  readonly config: string;
  readonly json: boolean;
  readonly events?: string | undefined;
  readonly 'events-detail'?: 'keys' | undefined;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly 'log-file'?: string | undefined;
  readonly color?: boolean | undefined;
  readonly progress: 'auto' | 'live' | 'lines' | 'none';
  readonly 'no-input': boolean;
  readonly timeout?: number | undefined;
}
