/** Failures of functions: of their bundles, and of what is given to them. A part of the table in codes.ts. */
import { entry } from './entry.ts';

export const functionCodes = {
  'lambda.bundle-invalid': entry<{ file: string; why: string }>({
    retry: 'never',
    summary: '{file} is not the configuration of a bundle: {why}',
    remedy: 'make the bundle again:   keyferry lambda package MIGRATION',
  }),
  'lambda.not-packable': entry<{ migration: string; why: string; fix: string }>({
    retry: 'never',
    summary: '{migration} cannot be packaged for functions: {why}; nothing was written',
    remedy: '{fix}',
  }),
  'lambda.no-bundler': entry<object>({
    retry: 'never',
    summary: 'this keyferry cannot make bundles: it has no bundler (esbuild) in it; nothing was written',
    remedy: 'use the one from npm:   npx keyferry lambda package MIGRATION',
  }),
  'lambda.function-failed': entry<{ function: string; why: string }>({
    retry: 'never',
    summary: 'function {function} did not come to its end: {why}',
    remedy: 'its log lines say more; what it had checkpointed stays',
  }),
  'functions.at-work': entry<{ migration: string; what: string; fix: string }>({
    retry: 'never',
    summary: 'functions work on {migration}, and no lock keeps them still: {what}; nothing was written',
    remedy: '{fix}',
  }),
  'queue.unreachable': entry<{ url: string; detail: string }>({
    retry: 'backoff',
    summary: 'the queue {url} cannot be reached now: {detail}',
    remedy: 'nothing is lost: the next dispatch sends what is still to be done; look at network and limits if it stays',
  }),
  'queue.unusable': entry<{ url: string; detail: string }>({
    retry: 'never',
    summary: 'the queue {url} cannot be used: {detail}',
    remedy:
      'check KEYFERRY_QUEUE_URL and the role: sqs:SendMessage and sqs:GetQueueAttributes for dispatch, sqs:ChangeMessageVisibility for backfill',
  }),
  'functions.refused': entry<{ plan: string; migration: string; refusedAs: string; why: string }>({
    retry: 'never',
    summary: 'functions refused plan {plan} ({refusedAs}): {why}',
    remedy: 'mend what it says and submit it again, or plan again:   keyferry plan {migration}',
  }),
  'slices.not-fit': entry<{ migration: string; why: string }>({
    retry: 'never',
    summary: 'functions cannot work on {migration}: {why}; nothing was written',
    remedy: 'apply it from one machine:   keyferry apply {migration}',
  }),
} as const;
