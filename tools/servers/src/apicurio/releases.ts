/**
 * The Apicurio Registry releases under test: the last of the 2.6 line, and of the 3 line the newest, and one that Java 17 runs.
 * The Maven repository carries no application of 3.1 and 3.2, and of 3.0 that of 3.0.9, without its parent POM. All keep what
 * they hold in an H2 database, in memory or in a directory, unless properties name another one.
 */
import { findJava } from './java.ts';
import type { MavenServer } from '../server-definition.ts';

export type ApicurioVersion = '2.6' | '3.0' | '3.3';
export type ApicurioKind = `apicurio-${ApicurioVersion}`;

/** Version of Java that each line wants at least. */
export const javaOf: Readonly<Record<ApicurioVersion, number>> = { '2.6': 17, '3.0': 17, '3.3': 21 };

const lackOf = (version: ApicurioVersion) => (): string | undefined =>
  findJava(javaOf[version]) === undefined ? `there is no Java of version ${javaOf[version]} or later` : undefined;

export const apicurioDefinitions: Readonly<Record<ApicurioKind, MavenServer>> = {
  'apicurio-2.6': {
    version: '2.6.13.Final',
    environmentVariable: 'KEYFERRY_APICURIO_2_6',
    programs: ['apicurio-registry-app-2.6.13.Final-runner.jar'],
    artifact: 'io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all',
    sha256: '3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba',
    machineLacks: lackOf('2.6'),
  },
  'apicurio-3.0': {
    version: '3.0.9',
    environmentVariable: 'KEYFERRY_APICURIO_3_0',
    programs: ['apicurio-registry-app-3.0.9-runner.jar'],
    artifact: 'io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all',
    sha256: '2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43',
    parentLacking: 'io.apicurio:apicurio-registry:3.0.9',
    machineLacks: lackOf('3.0'),
  },
  'apicurio-3.3': {
    version: '3.3.3',
    environmentVariable: 'KEYFERRY_APICURIO_3_3',
    programs: ['quarkus-run.jar'],
    artifact: 'io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all',
    sha256: '8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63',
    machineLacks: lackOf('3.3'),
  },
};
