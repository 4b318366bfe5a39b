/** Flags that no service asks for any more. */
export const retiredFlags: ReadonlySet<string> = new Set(['new-cart', 'beta-banner']);
