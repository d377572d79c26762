/** How much of the model an entity would have leaked by then, query by query. */
import { useCallback, useMemo } from "preact/hooks";
import uPlot from "uplot";
import type * as S from "../api/shapes";
import { compact, percent } from "../words/numbers";
import { axis, Plot, type Paint } from "./plot";

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000];

export function ExposureCurve({ of }: { of: S.Timeline }) {
  const data = useMemo<uPlot.AlignedData>(() => {
    const known = of.queries.map((n, at) => [n, of.clone[at] ?? null] as const).filter(([, clone]) => clone !== null);
    return [known.map(([n]) => n), known.map(([, clone]) => clone)];
  }, [of]);
  const options = useCallback(
    (paint: Paint) => ({
      legend: { show: false },
      cursor: { show: false },
      padding: [10, 10, 0, 0] as [number, number, number, number],
      scales: { x: { time: false }, y: { range: (_: uPlot, __: number, most: number) => [0, Math.max(1, most * 1.03)] as [number, number] } },
      axes: [
        axis(paint, { grid: { show: false }, label: "queries", labelSize: 18, size: 26, incrs: WHOLE, space: 60, values: (_: uPlot, at: number[]) => at.map(compact) }),
        axis(paint, { size: 48, splits: () => [0, 0.25, 0.5, 0.75, 1], values: (_: uPlot, at: number[]) => at.map((share) => percent(share)) }),
      ],
      series: [{}, { stroke: paint("accent"), width: 2, fill: paint("accent-soft"), points: { show: false } }],
    }),
    [],
  );
  const last = [...of.clone].reverse().find((clone) => clone !== null);
  return <Plot label={`Exposure by queries; ${percent(last)} at the end.`} height={200} options={options} data={data} />;
}
