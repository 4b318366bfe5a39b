/**
 * Carries over by the API of 3.x what no archive holds: roles, settings under their new names, owners, labels of groups, the
 * latest version. What is as it should be already is not written. What has no place is named and not dropped.
 */
import { registryNamedMax, type BesidesArchive, type CarriedReceipt, type StopSignal } from '@keyferry/core';
import { pathPart, type RegistryApi } from '../api/registry-api.ts';
import { parseRefusal, refusalError } from '../api/errors.ts';
import * as shapes from '../api/shapes.ts';
import { readBranch } from './walk.ts';

export async function carry(api: RegistryApi, besides: BesidesArchive, signal: StopSignal): Promise<CarriedReceipt> {
  const carrier = new Carrier(api, signal);
  for (const role of besides.roles) await carrier.role(role);
  await carrier.settings(besides.settings);
  for (const each of besides.groupLabels) await carrier.groupLabels(each);
  for (const each of besides.owners) await carrier.owner(each);
  for (const each of besides.latestOrders) await carrier.latestOrder(each);
  return carrier.receipt(besides.unreadable);
}

/** Settings whose new name is not the old one behind another first word. */
const renamed: Readonly<Record<string, string>> = {
  'registry.download.href.ttl': 'apicurio.download.href.ttl.seconds',
  'registry.rest.artifact.deletion.enabled': 'apicurio.rest.deletion.artifact-version.enabled',
  'registry.ui.features.readOnly': 'apicurio.ui.features.read-only.enabled',
};

/** @returns what 3.x calls a setting of 2.6 */
export function settingName(old: string): string {
  return renamed[old] ?? old.replace(/^registry\./, 'apicurio.');
}

class Carrier {
  private readonly api: RegistryApi;
  private readonly signal: StopSignal;
  private readonly carried: string[] = [];
  private readonly notCarried: { readonly what: string; readonly why: string }[] = [];

  constructor(api: RegistryApi, signal: StopSignal) {
    this.api = api;
    this.signal = signal;
  }

  async role({ principal, name, role }: BesidesArchive['roles'][number]): Promise<void> {
    const what = `role ${principal}`;
    const path = `/admin/roleMappings/${pathPart(principal)}`;
    const isNone = ({ status }: { readonly status: number }): boolean => status === 404 || status === 403;
    const read = () => this.api.getUnless(path, shapes.role, this.signal, isNone);
    const held = await read();
    if (held?.role === role) return this.done(what);
    const refused =
      held === null
        ? await this.refusalOf('POST', '/admin/roleMappings', {
            role,
            principalName: name ?? principal,
            principalId: principal,
          })
        : await this.refusalOf('PUT', path, { role });
    // No archive holds roles, so no comparison reads them: this one does.
    const now = refused === null ? await read() : null;
    if (now?.role === role) this.done(what);
    else this.notCarried.push({ what, why: refused ?? `3.x has ${now?.role ?? 'none'} after it was written` });
  }

  async settings(settings: BesidesArchive['settings']): Promise<void> {
    if (settings.length === 0) return;
    const known = await this.api.get('/admin/config/properties', shapes.settings, this.signal);
    for (const { name: old, value } of settings) {
      const name = settingName(old);
      const held = known.find((each) => each.name === name);
      if (held === undefined) {
        const why = `3.x cannot change ${name} while it runs: set it where it is configured, if it still has it`;
        this.notCarried.push({ what: `setting ${old}`, why });
      } else if (held.value === value) this.done(`setting ${old}`);
      else await this.write('PUT', `/admin/config/properties/${pathPart(name)}`, { value }, `setting ${old}`);
    }
  }

  async groupLabels({ group, labels }: BesidesArchive['groupLabels'][number]): Promise<void> {
    const path = `/groups/${pathPart(group)}`;
    const held = await this.api.getOrNull(path, shapes.group3, this.signal);
    if (held === null) this.missing(`labels of group ${group}`);
    else if (isSame(held.labels, labels)) this.done(`labels of group ${group}`);
    else await this.write('PUT', path, { description: held.description, labels }, `labels of group ${group}`);
  }

  async owner({ group, artifact, owner }: BesidesArchive['owners'][number]): Promise<void> {
    const what = `owner of ${group}/${artifact}`;
    const path = shapes.artifactPath({ groupId: group, artifactId: artifact });
    const held = await this.api.getOrNull(path, shapes.artifact3, this.signal);
    if (held === null) this.missing(what);
    else if ((held.owner ?? '') === owner) this.done(what);
    else await this.write('PUT', path, { owner }, what);
  }

  async latestOrder({ group, artifact, versions }: BesidesArchive['latestOrders'][number]): Promise<void> {
    const what = `latest of ${group}/${artifact}`;
    const named = { groupId: group, artifactId: artifact };
    const path = `${shapes.artifactPath(named)}/branches/latest/versions`;
    if ((await this.api.getOrNull(shapes.artifactPath(named), shapes.artifact3, this.signal)) === null) {
      return this.missing(what);
    }
    const held = await readBranch(this.api, named, 'latest', this.signal);
    // Only what is on the branch can be put in order; what was lost was named before.
    const order = versions.filter((version) => held.includes(version));
    if (isSame(held, order)) this.done(what);
    else await this.write('PUT', path, { versions: order }, what);
  }

  receipt(unreadable: BesidesArchive['unreadable']): CarriedReceipt {
    return {
      carried: this.carried.slice(0, registryNamedMax),
      carriedTotal: this.carried.length,
      notCarried: [...unreadable, ...this.notCarried],
    };
  }

  private done(what: string): void {
    this.carried.push(what);
  }

  private missing(what: string): void {
    this.notCarried.push({ what, why: 'it is not there: it was lost by the import' });
  }

  private async write(method: 'PUT', path: string, body: object, what: string): Promise<void> {
    const why = await this.refusalOf(method, path, body);
    if (why === null) this.done(what);
    else this.notCarried.push({ what, why });
  }

  /** A refusal is a fact for people; a registry that cannot be reached is a failure. null: it was taken. */
  private async refusalOf(method: 'PUT' | 'POST', path: string, body: object): Promise<string | null> {
    const headers = { 'content-type': 'application/json' };
    const request = { method, path, headers, body: Buffer.from(JSON.stringify(body)) };
    const { status, doing, ...answer } = await this.api.send(request, this.signal);
    if (status >= 200 && status < 300) return null;
    const refusal = { status, doing, ...parseRefusal(answer.body) };
    if (status >= 500 || status === 401) throw refusalError(this.api.store, refusal);
    return `3.x answered ${status}: ${refusal.message}`;
  }
}

function isSame(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(
      Array.isArray(value) ? value : Object.entries(value as object).toSorted(([x], [y]) => (x < y ? -1 : 1)),
    );
  return text(a) === text(b);
}
