import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../base-command.ts';
import { acceptFlag } from '../flags/writing.ts';
import { rehearse } from '../rehearsal.ts';

const serverValue = 'URL|PATH';

export default class Rehearse extends BaseCommand {
  static override readonly summary =
    'Run a whole migration of strategy parallel on throw-away servers of this machine, there and back. Of production it only reads an export.';
  static override readonly examples = [
    '<%= config.bin %> rehearse registry --v2 /opt/apicurio-2.6.13 --v3 /opt/apicurio-3.3.3',
    '<%= config.bin %> rehearse registry --archive export.zip --v2 http://127.0.0.1:8082 --v3 http://127.0.0.1:8083',
    {
      description: 'The plan of the real one, with the durations of the rehearsal.',
      command: '<%= config.bin %> plan registry --rehearsal rehearsal.json',
    },
  ];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration of strategy parallel.' }),
  };
  static override readonly flags = {
    v2: Flags.string({
      summary: 'Distribution of Apicurio Registry 2.6 to start, or the URL of an empty one that nobody misses.',
      required: true,
      env: 'KEYFERRY_V2',
      helpValue: serverValue,
    }),
    v3: Flags.string({
      summary: 'Distribution of Apicurio Registry 3 to start, or the URL of an empty one that nobody misses.',
      required: true,
      env: 'KEYFERRY_V3',
      helpValue: serverValue,
    }),
    archive: Flags.string({
      summary: 'An export that was made before; by default one is made of 2.x now.',
      helpValue: 'FILE',
    }),
    java: Flags.string({
      summary: 'Program that runs distributions.',
      default: 'java',
      env: 'KEYFERRY_JAVA',
      helpValue: 'PROGRAM',
    }),
    accept: acceptFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Rehearse);
    await this.perform(flags, args.migration, (run) => rehearse(run, args.migration, flags));
  }
}
