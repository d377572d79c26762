/** An entity's score and its signals over time, with thresholds and alerts on them. */
import { useCallback, useMemo } from "preact/hooks";
import uPlot from "uplot";
import type * as S from "../api/shapes";
import type { Severity } from "../words/kinds";
import { score } from "../words/numbers";
import { dayShort, hourShort, ofWall } from "../words/times";
import { axis, FONT, Plot, type Paint } from "./plot";
import { placed, scoreAt, ticks } from "./scale";

export const HUES = ["hue-1", "hue-2", "hue-3", "hue-4", "hue-5", "hue-6"] as const;

interface Given {
  of: S.Timeline;
  /** Signals that are drawn beside the score. */
  drawn: readonly string[];
}

export function EvidenceOverTime({ of, drawn }: Given) {
  const named = drawn.join();
  const data = useMemo<uPlot.AlignedData>(
    () => [
      of.at.map((us) => us / 1e6),
      of.score.map((x) => (x === null ? null : placed(x))),
      ...named.split(",").filter(Boolean).map((signal) => (of.signals[signal] ?? []).map((x) => placed(Math.max(x, -1)))),
    ],
    [of, named],
  );
  const top = Math.max(
    2,
    ...of.score.map((x) => x ?? 0),
    ...of.thresholds.map((one) => one.score),
    ...drawn.flatMap((signal) => of.signals[signal] ?? []),
  );
  const low = Math.min(0, ...drawn.flatMap((signal) => of.signals[signal] ?? []).map((x) => Math.max(x, -1)));

  const options = useCallback(
    (paint: Paint) => ({
      legend: { show: false },
      cursor: { show: false },
      padding: [10, 10, 0, 0] as [number, number, number, number],
      scales: { x: { time: true }, y: { range: [low, placed(top) * 1.05] as [number, number] } },
      axes: [
        axis(paint, { grid: { show: false }, space: 80, size: 28, values: moments }),
        axis(paint, {
          size: 44,
          splits: () => ticks(0, top * 1.05).map(placed),
          values: (_: uPlot, at: number[]) => at.map((place) => String(Number(scoreAt(place).toPrecision(4)))),
        }),
      ],
      series: [
        {},
        { stroke: paint("text"), width: 2, paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder, points: { show: false }, spanGaps: false },
        ...named
          .split(",")
          .filter(Boolean)
          .map((_, at) => ({
            stroke: paint(HUES[at % HUES.length] ?? "accent"),
            width: 1.25,
            points: { show: false },
            paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder,
          })),
      ],
      hooks: { drawAxes: [(u: uPlot) => thresholds(u, of.thresholds, paint)], draw: [(u: uPlot) => alerts(u, of.alerts, paint)] },
    }),
    [of, named, low, top],
  );
  return (
    <Plot
      label={`Score and signals over time: ${of.at.length} points, ${of.alerts.length} alerts, last score ${score(of.score[of.score.length - 1])}.`}
      height={280}
      options={options}
      data={data}
    />
  );
}

/** Hours where the span is short, days where it is long; the zone is the viewer's. */
function moments(_: uPlot, at: number[]): string[] {
  const short = (at[at.length - 1] ?? 0) - (at[0] ?? 0) < 3 * 86_400;
  return at.map((s) => (short ? hourShort(ofWall(s)) : dayShort(ofWall(s))));
}

function thresholds(u: uPlot, of: readonly S.ThresholdAt[], paint: Paint): void {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  ctx.save();
  ctx.font = FONT.replace("12px", `${11 * dpr}px`);
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  for (const one of of) {
    const y = u.valToPos(placed(one.score), "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    const ink = paint(`severity-${one.severity}`);
    ctx.strokeStyle = ctx.fillStyle = ink;
    ctx.lineWidth = dpr;
    ctx.setLineDash([5 * dpr, 4 * dpr]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillText(one.severity, bbox.left + 4 * dpr, y - 2 * dpr);
  }
  ctx.restore();
}

function alerts(u: uPlot, of: readonly S.AlertMark[], paint: Paint): void {
  const { ctx, bbox } = u;
  const dpr = devicePixelRatio;
  ctx.save();
  for (const one of of) {
    const x = u.valToPos(one.at / 1e6, "x", true);
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
    ctx.fillStyle = ctx.strokeStyle = paint(`severity-${one.severity satisfies Severity}`);
    ctx.globalAlpha = 0.45;
    ctx.lineWidth = dpr;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.beginPath();
    ctx.moveTo(x - 5 * dpr, bbox.top);
    ctx.lineTo(x + 5 * dpr, bbox.top);
    ctx.lineTo(x, bbox.top + 9 * dpr);
    ctx.fill();
  }
  ctx.restore();
}
