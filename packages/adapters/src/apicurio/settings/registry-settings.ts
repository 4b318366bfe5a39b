/** The file that 2.6 is started with, as strategy `parallel` asks for it: translated into one for 3.x, beside the archives. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { KeyferryError, type RegistrySettings } from '@keyferry/core';
import { translateSettings, type SettingsText } from './translate-settings.ts';

/** @param file of variables (`registry-2.env`), or of dotted names (`application.properties`) */
export function registrySettings(file: string): RegistrySettings {
  return {
    translate: async (into, release, versions) => {
      const text = await readFile(file, 'utf8').catch((error: unknown) => {
        throw unreadable(file, error);
      });
      const form: SettingsText['form'] = file.endsWith('.properties') ? 'properties' : 'env';
      const made = translateSettings({ form, text }, { release, versions });
      const target = `${into}.${form}`;
      const part = `${target}.part`;
      await writeFile(part, made.text, { mode: 0o600 });
      await rename(part, target);
      return { file, into: target, settings: made.settings };
    },
  };
}

function unreadable(file: string, error: unknown): KeyferryError {
  const detail = error instanceof Error ? error.message : String(error);
  return new KeyferryError('file.unreadable', { file, detail }, { cause: error });
}
