/** What a registry of 2.x is started with, and what 3.x is to be started with in its place. Values stay in the files. */
export type SettingFate = 'kept' | 'renamed' | 'added' | 'by-hand' | 'gone' | 'unknown';

/** Goes into plans: holds no value. */
export interface TranslatedSetting {
  /** As the file of 2.x names it; null: it was added. */
  readonly old: string | null;
  /** In dots; null: 3.x has nothing for it. */
  readonly name: string | null;
  readonly fate: SettingFate;
  /** What is to be known of it; null: nothing. */
  readonly note: string | null;
}

export interface SettingsTranslation {
  readonly file: string;
  /** What was made of it; secrets and places of data are left out. */
  readonly into: string;
  readonly settings: readonly TranslatedSetting[];
}

export interface RegistrySettings {
  /**
   * @param into path without what the form of the file adds to it; replaced whole
   * @param release of 3.x
   * @param versions that the import will bring
   * @throws {KeyferryError} `file.unreadable`
   */
  translate(into: string, release: string, versions: number): Promise<SettingsTranslation>;
}
