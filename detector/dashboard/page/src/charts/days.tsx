/** Alerts a day, under what is in force and under a change. */
import { useCallback, useMemo } from "preact/hooks";
import uPlot from "uplot";
import type * as S from "../api/shapes";
import { Behind, Table } from "../parts/table";
import { count } from "../words/numbers";
import { dayShort, ofLog, utc } from "../words/times";
import { axis, Plot, type Paint } from "./plot";

export function sum(of: Record<string, number>): number {
  return Object.values(of).reduce((all, n) => all + n, 0);
}

export function AlertsADay({ days }: { days: readonly S.Day[] }) {
  const data = useMemo<uPlot.AlignedData>(
    () => [days.map((_, at) => at), days.map((day) => sum(day.was)), days.map((day) => sum(day.would))],
    [days],
  );
  const from = days[0]?.at;
  const many = days.length;
  const options = useCallback(
    (paint: Paint) => ({
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 8, 0, 0] as [number, number, number, number],
      scales: {
        x: { time: false, range: [-0.6, Math.max(many, 1) - 0.4] as [number, number] },
        y: { range: (_: uPlot, __: number, most: number) => [0, Math.max(4, most * 1.1)] as [number, number] },
      },
      axes: [
        axis(paint, {
          grid: { show: false },
          size: 26,
          incrs: [1, 2, 5, 7, 14, 28, 56],
          space: 60,
          values: (_: uPlot, at: number[]) => at.map((day) => (from === undefined || day % 1 || day < 0 ? "" : dayShort(ofLog(from + day * 86_400_000_000)))),
        }),
        axis(paint, { size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 10_000], space: 26, values: (_: uPlot, at: number[]) => at.map((n) => count(n)) }),
      ],
      series: [{}, side(-1, paint("was")), side(1, paint("accent"))],
    }),
    [from, many],
  );
  return (
    <figure class="chart">
      <Plot label={`Alerts a day over ${many} days: in force now, and under the change.`} height={150} options={options} data={data} />
      <figcaption>
        <span class="key key-was">in force now</span>
        <span class="key key-would">under this change</span>
      </figcaption>
      <Behind of="The same as a table">
        <Table
          name="Alerts a day"
          rows={days}
          id={(day) => day.at}
          columns={[
            { head: "Day (UTC)", cell: (day) => utc(ofLog(day.at)).slice(0, 10) },
            { head: "In force now", num: true, cell: (day) => count(sum(day.was)) },
            { head: "Under this change", num: true, cell: (day) => count(sum(day.would)) },
            ...(days.some((day) => day.held_was || day.held_would)
              ? [
                  { head: "Held, in force now", num: true, cell: (day: S.Day) => count(day.held_was) },
                  { head: "Held, under this change", num: true, cell: (day: S.Day) => count(day.held_would) },
                ]
              : []),
          ]}
        />
      </Behind>
    </figure>
  );
}

function side(align: -1 | 1, fill: string): uPlot.Series {
  return {
    fill,
    stroke: fill,
    width: 0,
    points: { show: false },
    paths: uPlot.paths.bars?.({ size: [0.4, 24], align }) as uPlot.Series.PathBuilder,
  };
}
