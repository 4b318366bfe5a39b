/**
 * Redactor: knows every secret that was read and takes it out of whatever is about to be shown.
 *
 * Secrets travel in disguise: percent-encoded in a URL, escaped in JSON, in base64 in a header, a PEM file line by
 * line. So each secret is remembered in those forms too, and the longest form is taken out first.
 * One shorter than four characters is left alone: blanking each "a" would tell more than it hides.
 */
const secretLengthMin = 4;
const lineLengthMin = 16;
export const redacted = '[redacted]';

export class Redactor {
  private forms: string[] = [];

  /** Harmless to repeat. */
  add(secret: string): void {
    const known = new Set(this.forms);
    for (const form of formsOf(secret)) if (form.length >= secretLengthMin) known.add(form);
    this.forms = [...known].toSorted((a, b) => b.length - a.length);
  }

  redact(text: string): string {
    let clean = text;
    for (const form of this.forms) if (clean.includes(form)) clean = clean.replaceAll(form, redacted);
    return clean;
  }
}

function formsOf(secret: string): readonly string[] {
  const whole = secret.trim();
  if (whole.length < secretLengthMin) return [];
  const lines = whole.split(/\r?\n/);
  // The armour of a PEM file is the same in all of them.
  const secretLines = lines.length > 1 ? lines.filter((l) => l.length >= lineLengthMin && !l.startsWith('-----')) : [];
  return [
    secret,
    whole,
    ...secretLines,
    encodeURIComponent(whole.toWellFormed()),
    JSON.stringify(whole).slice(1, -1),
    Buffer.from(whole).toString('base64').replace(/=+$/, ''),
  ];
}
