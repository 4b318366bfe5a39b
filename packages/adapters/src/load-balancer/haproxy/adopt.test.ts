/**
 * Goal: adoption changes the lines that say where the registry is, and no others, and refuses with the line whatever it
 * would get wrong.
 * Method: texts in pairs; what HAProxy makes of them is test/contract/load-balancer.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { adoptText } from './adopt.ts';
import { parseStreams } from './runtime.ts';

const names = {
  mapFile: '/k/a.map',
  v2: 'apicurio',
  v3: 'keyferry-a-v3',
  v3Servers: ['c:8080', 'd:8080'],
  v3Options: null,
};
const adopt = (text: string): string => adoptText(text, names);
const text = `defaults
    mode http

frontend web
    bind :80
    default_backend apicurio # the registry
    use_backend other if { path_beg /x }

backend other
    server o o:1

# of the registry
backend apicurio
    option httpchk GET /health/ready
    cookie S insert
    server a1 a:8080 check cookie a1 weight 5
    server a2 b:8080 check cookie a2

listen stats
    bind :9000
`;

describe('adoptText', () => {
  const adopted = adopt(text);
  const section = (head: string): string => adopted.slice(adopted.indexOf(`\n${head}`) + 1).split('\n\n')[0] ?? '';

  it('leaves every other line: without its own the text is what it was', () => {
    const kept = adopted.split('\n').filter((line) => !line.endsWith('# keyferry'));
    // A blank line parts the backend that is added.
    expect(kept.join('\n').replace('check cookie a2\n\n\n', 'check cookie a2\n\n')).toBe(text);
  });

  it('leads to 3.x after the rules of others, where a frontend falls to the registry', () => {
    const lines = section('frontend web').split('\n');
    expect(lines.at(-1)).toContain('use_backend keyferry-a-v3 if { str(phase),map_str(/k/a.map,v2-ro) -m beg v3 }');
    expect(lines.at(-2)).toContain('use_backend other');
  });

  it('makes a backend of 3.x with what that of 2.x has, and its own servers', () => {
    const three = section('backend keyferry-a-v3');
    expect(three).toContain('option httpchk GET /health/ready # keyferry');
    expect(three).toContain('server keyferry1 c:8080 check weight 5 # keyferry');
    expect(three).toContain('server keyferry2 d:8080 check weight 5 # keyferry');
    expect(three).not.toContain('a:8080');
  });

  it('refuses on each side what only the phase of that side allows', () => {
    expect(section('backend apicurio')).toContain('!{ var(txn.keyferry_phase) -m str v2-rw }');
    expect(section('backend keyferry-a-v3')).toContain('!{ var(txn.keyferry_phase) -m str v3-rw }');
  });

  it('keeps the condition of a rule that names the registry', () => {
    const chosen = adopt(text.replace('use_backend other if { path_beg /x }', 'use_backend apicurio if A || B'));
    const way = '%[str(phase),map_str(/k/a.map,v2-ro),map_str(/k/a.map,apicurio)]';
    expect(chosen).toContain(`    use_backend ${way} if A || B # keyferry\n`);
  });

  it('takes over a listen section, which judges once a request', () => {
    const listen = adopt('defaults\n    mode http\nlisten apicurio\n    bind :80\n    server a a:1 check\n');
    expect(listen).toContain('{ var(txn.keyferry_phase) -m end -ro }');
    expect(listen).toContain('use_backend keyferry-a-v3 if { var(txn.keyferry_phase) -m beg v3 }');
    expect(listen.slice(listen.indexOf('backend keyferry-a-v3 #'))).not.toContain('bind');
  });

  it.each([
    [text.replace('mode http', 'mode tcp'), /line 13: backend apicurio has mode tcp/],
    [text.replace('backend apicurio\n', 'backend another\n'), /no backend or listen section called apicurio/],
    [text.replace('use_backend other', 'use_backend %[hdr(host)]'), /line 7: a backend chosen by an expression/],
    [`defaults\n    mode http\n    default_backend apicurio\n${text}`, /line 3: default_backend among the defaults/],
    [adopted, /has a part of keyferry already/],
  ])('refuses what it would get wrong: case %#', (wrong, why) => {
    expect(() => adopt(wrong)).toThrow(why);
  });
});

describe('parseStreams', () => {
  it('reads ages of every length, and skips what is no stream', () => {
    const answer =
      '0x1: proto=tcpv4 src=1.2.3.4:5 fe=web be=apicurio srv=a ts=00 epoch=0 age=1m2s calls=3 rate=0\n' +
      '0x2: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 age=0s calls=1\n' +
      '0x3: proto=tcpv4 fe=web be=apicurio srv=a age=1d2h calls=3\n\n';
    expect(parseStreams(answer)).toEqual([
      { backend: 'apicurio', ageS: 62 },
      { backend: '<NONE>', ageS: 0 },
      { backend: 'apicurio', ageS: 93_600 },
    ]);
  });
});
