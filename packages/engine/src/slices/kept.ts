/**
 * What a warm environment keeps from one slice to the next, as opening it can be dear: a view of the source's image, in
 * etcd v2 the whole tree. One thing at a time; another name takes its place.
 */
export class Kept<T extends { close(): Promise<void> }> {
  private kept: { readonly name: string; readonly value: Promise<T> } | null = null;

  /** What is kept under the name, or what `open` makes. A failure is not kept. */
  async under(name: string, open: () => Promise<T>): Promise<T> {
    if (this.kept?.name === name) return this.kept.value;
    await this.drop();
    const kept = { name, value: open() };
    this.kept = kept;
    kept.value.catch(() => {
      if (this.kept === kept) this.kept = null;
    });
    return kept.value;
  }

  async drop(): Promise<void> {
    const value = await this.kept?.value.catch(() => null); // what never opened needs no closing
    this.kept = null;
    await value?.close();
  }
}
