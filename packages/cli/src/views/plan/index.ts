/** The plan view, human and JSON. */
import type { View } from '../view.ts';
import { planHuman } from './human.ts';
import { planJson } from './json.ts';
import type { PlanResult } from './result.ts';

export const planView: View<PlanResult> = { human: planHuman, json: planJson };
