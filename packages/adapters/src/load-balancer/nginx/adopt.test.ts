/**
 * Goal: adoption changes the lines that say where the registry is, and no others, and refuses with the line whatever it
 * would get wrong.
 * Method: texts in pairs; a law over everything that is inserted: taken out again, the text is what it was.
 */
import { describe, expect, it } from 'vitest';
import { adoptText } from './adopt.ts';

const names = { directory: '/k', upstreamVariable: 'kf_up', v2: 'apicurio' };
const adopt = (text: string, outside = false) => adoptText(text, names, true, outside);
const site = (location: string, server = ''): string =>
  `upstream apicurio { server a:8080; keepalive 4; }\nserver {\n    ${server}\n    location / {\n${location}\n    }\n}\n`;

describe('adoptText', () => {
  it('puts its part first into the location and leads proxy_pass to the phase', () => {
    const { text, locations, upstream } = adopt(site('        proxy_pass http://apicurio;'));
    expect(locations).toBe(1);
    expect(upstream).toEqual(['keepalive 4;']);
    expect(text).toContain('    location / {\n        include /k/location.conf; # keyferry\n');
    expect(text).toContain('        proxy_pass http://$kf_up;\n');
    expect(text.startsWith('include /k/http.conf; # keyferry\n')).toBe(true);
  });

  it('leaves every other byte: without its lines and its variable the text is what it was', () => {
    const before = `# odd } ; {\n${site("        if ($x = 'a;}') { rewrite ^/a$ /b break; }\n        proxy_pass  'http://apicurio' ;", 'set $y "{";')}# end`;
    const { text } = adopt(before);
    const kept = text.split('\n').filter((line) => !line.endsWith('# keyferry'));
    expect(kept.join('\n').replace('http://$kf_up', "'http://apicurio'")).toBe(before);
  });

  it('reads a location that stands on one line', () => {
    const { text } = adopt('server { location / { proxy_pass http://apicurio; } }');
    expect(text).toContain('open_file_cache off; # keyferry\n proxy_pass http://$kf_up; } }');
  });

  it.each([
    { name: 'location', location: 'add_header A b; proxy_pass http://apicurio;', server: '', top: false },
    { name: 'server', location: 'proxy_pass http://apicurio;', server: 'add_header A b;', top: false },
  ])('sets its headers where the $name has some, so that none is lost', ({ location, server, name }) => {
    const { text } = adopt(site(location, server));
    const level = name === 'server' ? text.indexOf('server {') : text.indexOf('location / {');
    const end = name === 'server' ? text.indexOf('location / {') : text.length;
    expect(text.slice(level, end)).toContain('include /k/headers.conf;');
    expect(text.split('include /k/headers.conf;')).toHaveLength(2);
  });

  it('sets its headers for all where another file has some for all', () => {
    const { text } = adopt(site('proxy_pass http://apicurio;'), true);
    expect(text.startsWith('include /k/http.conf; # keyferry\ninclude /k/headers.conf; # keyferry\n')).toBe(true);
    expect(text.split('include /k/headers.conf;')).toHaveLength(2);
  });

  it('takes over a main file, inside its http block', () => {
    const { text } = adopt(`user www;\nhttp {\n${site('proxy_pass http://apicurio;')}}\n`);
    expect(text.startsWith('user www;\nhttp {\n    include /k/http.conf; # keyferry\n')).toBe(true);
  });

  it('does not repeat what a location sets for itself, and lets other services be', () => {
    const other = 'server { location /x { proxy_pass http://other/y; } }\n';
    const { text } = adopt(other + site('default_type text/plain; proxy_pass http://apicurio;'));
    expect(text).toContain(other.trim());
    expect(text).not.toContain('default_type application/json');
  });

  it.each([
    ['proxy_pass http://apicurio/;', /line 5: proxy_pass with the path \//],
    ['proxy_pass http://$backend;', /line 5: proxy_pass goes to a variable/],
    ['proxy_pass https://apicurio;', /line 5: .*proxy_ssl_name/],
    ['if ($a) { proxy_pass http://apicurio; }', /line 5: proxy_pass to apicurio inside if/],
    ['set $a $1; proxy_pass http://apicurio;', /\$1 of its own pattern/],
    ['content_by_lua_block { x = "}" } proxy_pass http://apicurio;', /Lua is not read/],
    ['proxy_pass http://apicurio', /a directive without its ;/],
    ['proxy_pass "http://apicurio;', /a quote without its end/],
  ])('refuses %s', (location, why) => {
    expect(() => adopt(site(location))).toThrow(why);
  });

  it('refuses a file that it has adopted already, and a group that cannot be had twice', () => {
    expect(() => adopt(adopt(site('proxy_pass http://apicurio;')).text)).toThrow(/has a part of keyferry already/);
    const zoned = site('proxy_pass http://apicurio;').replace('keepalive 4;', 'zone z 64k;');
    expect(() => adopt(zoned)).toThrow(/upstream with a zone/);
  });
});
