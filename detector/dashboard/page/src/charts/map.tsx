/** An entity's queries over the training data, in two dimensions of the profile's projection. */
import type * as S from "../api/shapes";
import { percent, several } from "../words/numbers";
import { Behind, Table } from "../parts/table";

const SIZE = 320;
const EDGE = 10;

export function QueryMap({ of }: { of: S.Map }) {
  const all = [...of.training, ...of.queries] as [number, number][];
  const [left, right] = reach(all.map(([x]) => x));
  const [low, high] = reach(all.map(([, y]) => y));
  const scale = (SIZE - 2 * EDGE) / Math.max(right - left, high - low, 1e-9);
  const x = (value: number) => EDGE + (value - left) * scale;
  const y = (value: number) => SIZE - EDGE - (value - low) * scale;
  return (
    <figure class="chart">
      <svg
        class="map"
        viewBox={`0 0 ${SIZE} ${SIZE}`}
        role="img"
        aria-label={`${several(of.queries.length, "remembered query", "remembered queries")} of this entity over ${several(of.training.length, "point")} of the training data.`}
      >
        <g class="map-training">
          {of.training.map(([a, b], at) => (
            <circle key={at} cx={x(a as number)} cy={y(b as number)} r={2} />
          ))}
        </g>
        <g class="map-queries">
          {of.queries.map(([a, b], at) => (
            <circle key={at} cx={x(a as number)} cy={y(b as number)} r={2.8} />
          ))}
        </g>
      </svg>
      <figcaption>
        <span class="key key-bar">training data</span>
        <span class="key key-would">its queries</span>
        <span class="muted">These two dimensions hold {percent(of.explained)} of the training data's variance.</span>
      </figcaption>
      <Behind of="The same as a table">
        <Table
          name="Remembered queries on the map"
          rows={of.queries}
          id={(_, at) => at}
          columns={[
            { head: "In order", num: true, cell: (row) => of.queries.indexOf(row) + 1 },
            { head: "First dimension", num: true, cell: ([a]) => (a as number).toFixed(2) },
            { head: "Second dimension", num: true, cell: ([, b]) => (b as number).toFixed(2) },
          ]}
        />
      </Behind>
    </figure>
  );
}

/** All but nothing: a lone point far away still is in the picture. */
function reach(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
