/** What a cutover did: one document, whose members beyond the common ones depend on the strategy. */
import { settledHuman, settledJson, type SettledView } from '../online/cutover.ts';
import { flippedHuman, flippedJson, type FlippedView } from '../replicate/cutover.ts';
import { envelope, type View } from '../view.ts';

export type CutoverView = SettledView | FlippedView;

export const cutoverView: View<CutoverView> = {
  human: (view, context) => (view.strategy === 'replicate' ? flippedHuman(view, context) : settledHuman(view, context)),
  json: (view, warnings) => {
    const body: CutoverJson = view.strategy === 'replicate' ? flippedJson(view) : settledJson(view);
    return envelope('keyferry.cutover', warnings, body);
  },
};

/** Those of strategy replicate are never there together with those of dual-read. */
type CutoverJson = Common & Partial<Omit<Settled, keyof Common>> & Partial<Omit<Flipped, keyof Common>>;
type Settled = ReturnType<typeof settledJson>;
type Flipped = ReturnType<typeof flippedJson>;
type Common = Pick<Settled & Flipped, keyof Settled & keyof Flipped>;
