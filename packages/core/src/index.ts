/** The public surface of core: grouped re-exports, nothing else. */
export * from './model/brand.ts';
export * from './model/key.ts';
export * from './model/key-pair.ts';
export * from './model/record.ts';
export * from './model/backup.ts';
export * from './model/before-image.ts';
export * from './model/image-pieces.ts';
export * from './model/position.ts';
export * from './model/ids.ts';
export * from './model/fence.ts';
export * from './model/count.ts';
export * from './model/duration.ts';
export * from './model/instant.ts';
export * from './model/shell-word.ts';
export * from './model/latency.ts';

export * from './errors/codes.ts';
export * from './errors/details.ts';
export * from './errors/keyferry-error.ts';
export * from './errors/invariant.ts';

export * from './transform/prefix-rule.ts';
export * from './transform/transform.ts';
export * from './transform/select-keys.ts';
export * from './transform/map-value.ts';
export * from './transform/rename-prefix.ts';
export * from './transform/rename-pattern.ts';
export * from './transform/rename-template.ts';
export * from './transform/custom-rule.ts';
export * from './transform/image-rule.ts';
export * from './transform/fixture.ts';
export * from './diff/merge-join.ts';
export * from './diff/compare-records.ts';

export * from './convergence/digest.ts';
export * from './convergence/buckets.ts';
export * from './convergence/exceptions.ts';
export * from './convergence/comparison-part.ts';
export * from './convergence/members.ts';

export * from './plan/plan.ts';
export * from './plan/finding.ts';
export * from './plan/review.ts';
export * from './plan/chunk-diff.ts';
export * from './plan/build-plan.ts';
export * from './plan/key-selection.ts';
export * from './plan/migration-spec.ts';
export * from './plan/migration-order.ts';
export * from './plan/replicate-settings.ts';
export * from './plan/staleness.ts';
export * from './plan/canonical-json.ts';

export * from './machines/chunk-lifecycle.ts';
export * from './machines/check-lifecycle.ts';
export * from './machines/lock.ts';
export * from './machines/restoration.ts';
export * from './machines/migration-phase.ts';
export * from './machines/done-marker.ts';
export * from './machines/run-samples.ts';
export * from './machines/state-layout.ts';
export * from './machines/throttle.ts';
export * from './machines/run-control.ts';
export * from './machines/online/mode-ladder.ts';
export * from './machines/online/barrier.ts';
export * from './machines/online/operation-gate.ts';
export * from './machines/online/client-operation.ts';
export * from './machines/online/list-merge.ts';
export * from './machines/online/dual-read-steps.ts';
export * from './machines/online/switch-record.ts';
export * from './machines/online/marker-text.ts';
export * from './machines/online/primary-record.ts';
export * from './machines/online/cutover.ts';
export * from './machines/online/tail-state.ts';

export * from './messages/registry.ts';

export * from './ports/store.ts';
export * from './ports/change-feed.ts';
export * from './ports/target-lock.ts';
export * from './ports/state-store.ts';
export * from './ports/spool.ts';
export * from './ports/record-program.ts';
export * from './ports/environment.ts';
export * from './ports/plan-archive.ts';
export * from './ports/switch.ts';
export * from './ports/primary-switch.ts';
export * from './ports/online-store.ts';
