/** What inquirer throws when a prompt is interrupted; told by name, so that the library need not be loaded for it. */
const names: readonly string[] = ['ExitPromptError', 'AbortPromptError', 'CancelPromptError'];

export function isPromptEnd(error: unknown): error is Error {
  return error instanceof Error && names.includes(error.name);
}
