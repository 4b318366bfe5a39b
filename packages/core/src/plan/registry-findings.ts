/** What moving a schema registry by its export archive would lose or change; a part of the table in finding.ts. */
export const registryFindings = {
  'registry.target-used': {
    level: 'blocking',
    accept: false,
    summary: 'the registry of 3.x holds something already',
  },
  'registry.incomplete': {
    level: 'blocking',
    accept: false,
    summary: 'the export does not hold all that the registry shows',
  },
  'registry.api-gone': {
    level: 'warning',
    accept: true,
    summary: 'clients call APIs that 3.x does not have any more',
  },
  'registry.deletes-off': {
    level: 'warning',
    accept: false,
    summary: 'deletes answer 405 on 3.x unless its configuration allows them',
  },
  'registry.settings-moved': {
    level: 'warning',
    accept: false,
    summary: 'settings of 2.x have other names in 3.x',
  },
  'registry.settings-left': {
    level: 'warning',
    accept: false,
    summary: 'settings of 2.x have no place in 3.x, or need a decision',
  },
  'registry.health-moved': {
    level: 'warning',
    accept: false,
    summary: 'health of 3.x is on another port, which nobody named',
  },
  'registry.freeze-long': {
    level: 'warning',
    accept: true,
    summary: 'writes will be refused for longer than the configuration allows',
  },
  'balancer.unfit': {
    level: 'blocking',
    accept: false,
    summary: 'a load balancer cannot be led through all phases',
  },
  'registry.target-unfit': {
    level: 'blocking',
    accept: false,
    summary: 'the release of the target is not fit for this',
  },
  'registry.archive-refused': { level: 'blocking', accept: false, summary: 'the import would fail as a whole' },
  'registry.content-refused': {
    level: 'blocking',
    accept: false,
    summary: 'contents are taken for a kind that the import drops, and their versions with them',
  },
  'registry.references-clash': {
    level: 'blocking',
    accept: false,
    summary: 'contents have two references of one name, and are dropped with their versions',
  },
  'registry.content-twice': {
    level: 'blocking',
    accept: false,
    summary: 'contents become equal, and only one of them survives with its versions',
  },
  'registry.content-missing': {
    level: 'blocking',
    accept: false,
    summary: 'versions refer to contents that the archive does not hold, and are dropped',
  },
  'registry.ids-repeated': {
    level: 'blocking',
    accept: false,
    summary: 'versions share a global id, and only one of them survives',
  },
  'registry.version-repeated': {
    level: 'blocking',
    accept: false,
    summary: 'an artifact has two versions of one name, and only the older one survives',
  },
  'registry.version-name': {
    level: 'blocking',
    accept: false,
    summary: 'versions have names that the target cannot address: only ids lead to them',
  },
  'registry.labels-clash': {
    level: 'blocking',
    accept: false,
    summary: 'labels or properties differ only in case, and their versions are dropped',
  },
  'registry.text-too-long': {
    level: 'blocking',
    accept: false,
    summary: 'names, labels or properties are too long for the target, and their versions are dropped',
  },
  'registry.group-default': {
    level: 'blocking',
    accept: false,
    summary: 'a group is called default in other letters, and its versions are dropped',
  },
  'registry.rule-lost': {
    level: 'warning',
    accept: false,
    summary: 'rules of artifacts without a version are dropped',
  },
  'registry.comment-lost': { level: 'warning', accept: false, summary: 'comments are dropped' },
  'registry.latest-moves': { level: 'warning', accept: false, summary: 'artifacts get another latest version' },
  'registry.owner-moves': { level: 'warning', accept: false, summary: 'artifacts may get another owner' },
  'registry.group-properties': { level: 'warning', accept: false, summary: 'properties of groups are dropped' },
  'registry.content-type': {
    level: 'warning',
    accept: false,
    summary: 'contents that are no JSON are stored as application/json',
  },
  'registry.content-unused': { level: 'warning', accept: false, summary: 'contents belong to no version' },
  'registry.ids-reused': {
    level: 'warning',
    accept: false,
    summary: 'ids of what was deleted are handed out again',
  },
} as const;
