/** Where a signal stands among honest clients: 0 their median, 1 their 99th percentile. */
import { placed } from "../charts/scale";
import { score } from "../words/numbers";

const WIDE = 140;
const HIGH = 16;
const FROM = placed(-1);
const TO = placed(16);

export function AmongHonest({ at }: { at: number }) {
  const x = (value: number) => ((Math.min(Math.max(placed(value), FROM), TO) - FROM) / (TO - FROM)) * (WIDE - 8) + 4;
  const odd = at > 1;
  return (
    <svg class="typical" viewBox={`0 0 ${WIDE} ${HIGH}`} width={WIDE} height={HIGH} role="img" aria-label={`${score(at)}, where honest clients' median is 0 and one in a hundred is above 1`}>
      <rect class="typical-ground" x={x(-1)} y={6} width={x(16) - x(-1)} height={4} rx={2} />
      <rect class="typical-honest" x={x(-1)} y={6} width={x(1) - x(-1)} height={4} rx={2} />
      <line class="typical-median" x1={x(0)} x2={x(0)} y1={3} y2={13} />
      <circle class={odd ? "typical-odd" : "typical-usual"} cx={x(at)} cy={8} r={4.5} />
    </svg>
  );
}
