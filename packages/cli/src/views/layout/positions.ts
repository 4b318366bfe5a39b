/** Positions for people: short ones whole, so that they can be compared by eye; digests cut. JSON has them whole. */
const charsMax = 24;

export function positionText(position: string): string {
  return position.length <= charsMax ? position : `${position.slice(0, 15)}...`;
}
