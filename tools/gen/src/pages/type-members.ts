/** The members of a type with the comments that stand above them in the code, as sentences on one line. */
import ts from 'typescript';
import type { Program } from '../schemas/program.ts';

export function descriptionsOf({ checker }: Program, type: ts.Type): ReadonlyMap<string, string> {
  const members = checker.getPropertiesOfType(type);
  return new Map(
    members.map((member) => [
      member.name,
      ts.displayPartsToString(member.getDocumentationComment(checker)).replaceAll('\n', ' '),
    ]),
  );
}
