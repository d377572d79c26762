/** Entities by their highest score, with the thresholds of each severity on it, to be dragged or moved by keys. */
import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type * as S from "../api/shapes";
import type { Severity } from "../words/kinds";
import { count, score as said } from "../words/numbers";
import { Behind, Table } from "../parts/table";
import { axis, Plot, type Area, type Paint } from "./plot";
import { countTicks, snapped, stepped, tall, ticks } from "./scale";

const HEIGHT = 320;
const ROW = 22; // of the handles' words
const WORD = 74; // a word is at most this wide

// All that is drawn lies above the tape's floor, so the scale may be a plain logarithm.
const placed = Math.log;
const scoreAt = Math.exp;

interface Given {
  of: S.Histogram;
  thresholds: readonly S.ThresholdAt[];
  inForce: readonly S.ThresholdAt[];
  /** moved: to a score; done: the hand has let go. */
  onMove: ((severity: Severity, score: number, done: boolean) => void) | null;
}

export function ScoreHistogram({ of, thresholds, inForce, onMove }: Given) {
  const [area, setArea] = useState<Area | null>(null);
  const last = of.edges[of.edges.length - 1] ?? 1;
  // In doublings, so that a drag to the right does not draw the whole chart anew at each step.
  const top = Math.max(last, 2 ** Math.ceil(Math.log2(Math.max(1, ...[...thresholds, ...inForce].map((one) => one.score * 1.05)))));
  const low = placed(of.edges[0] ?? 1);
  const high = placed(top);
  const most = Math.max(1, ...of.counts);

  const data = useMemo<uPlot.AlignedData>(() => {
    const middle = of.counts.map((_, at) => (placed(of.edges[at] ?? 1) + placed(of.edges[at + 1] ?? 1)) / 2);
    const drawn = (counts: readonly number[]) => counts.map((n) => (n === 0 ? null : tall(n)));
    return [middle, drawn(of.counts), drawn(of.honest), drawn(of.attacks)];
  }, [of]);

  const options = useCallback(
    (paint: Paint) => ({
      legend: { show: false },
      cursor: { show: false },
      padding: [ROW * 2 + 4, 8, 0, 0] as [number, number, number, number],
      scales: { x: { time: false, range: [low, high] as [number, number] }, y: { range: [0, tall(most) * 1.06] as [number, number] } },
      axes: [
        axis(paint, {
          splits: () => ticks(scoreAt(low), top).map(placed),
          values: (_: uPlot, at: number[]) => at.map((place) => String(Number(scoreAt(place).toPrecision(4)))),
          label: "highest score",
          labelSize: 18,
          size: 26,
          grid: { show: false },
        }),
        axis(paint, {
          splits: () => countTicks(most).map(tall),
          values: (_: uPlot, at: number[]) => at.map((place) => count(Math.round(10 ** place - 1))),
          size: 62,
        }),
      ],
      series: [{}, bars(of.edges, paint("bar")), bars(of.edges, paint("honest")), bars(of.edges, paint("attack"))],
    }),
    [of.edges, low, high, most, top],
  );

  const at = (score: number) => (area ? area.left + ((placed(score) - low) / (high - low)) * area.width : 0);
  const least = of.edges[0] ?? 1;
  const scoreOf = (x: number) => {
    const part = area ? (x - area.left) / area.width : 0;
    return snapped(scoreAt(low + Math.min(Math.max(part, 0), 1) * (high - low)));
  };

  const rows: number[] = [];
  thresholds.forEach((one, n) => {
    const before = thresholds[n - 1];
    rows.push(before && at(one.score) - at(before.score) < WORD && rows[n - 1] === 0 ? 1 : 0);
  });

  return (
    <figure class="chart">
      <div class="histogram">
        <Plot
          label={`Histogram of the highest scores of ${count(of.total)} entities. ${count(of.below)} stayed below ${said(least)} and are not drawn.`}
          height={HEIGHT}
          options={options}
          data={data}
          onArea={setArea}
        />
        {area && (
          <div class="handles">
            {inForce.map((one) => (
              <span key={`now-${one.severity}`} class="in-force" style={{ left: `${at(one.score)}px`, top: `${area.top}px`, height: `${area.height}px` }} />
            ))}
            {thresholds.map((one, n) => (
              <Handle
                key={one.severity}
                of={one}
                x={at(one.score)}
                area={area}
                row={rows[n] ?? 0}
                most={top}
                least={least}
                scoreOf={scoreOf}
                onMove={onMove ? (to, done) => onMove(one.severity, to, done) : null}
              />
            ))}
          </div>
        )}
      </div>
      <figcaption>
        <span class="key key-bar">all</span>
        <span class="key key-attack">judged attacks</span>
        <span class="key key-honest">judged honest</span>
        <span class="key key-now">in force now</span>
        <span class="muted">
          {count(of.below)} of {count(of.total)} never rose above {said(least)} and are not drawn. Both axes are logarithmic.
        </span>
      </figcaption>
      <Behind of="The same as a table">
        <Table
          name="Entities by highest score"
          rows={of.counts.map((n, bin) => ({ bin, n })).filter(({ n }) => n > 0)}
          id={(row) => row.bin}
          columns={[
            { head: "Score from", num: true, cell: (row) => said(of.edges[row.bin]) },
            { head: "to", num: true, cell: (row) => said(of.edges[row.bin + 1]) },
            { head: "Entities", num: true, cell: (row) => count(row.n) },
            { head: "Judged attacks", num: true, cell: (row) => count(of.attacks[row.bin]) },
            { head: "Judged honest", num: true, cell: (row) => count(of.honest[row.bin]) },
          ]}
        />
      </Behind>
    </figure>
  );
}

/** Bars as wide as their bins, a pixel apart. */
function bars(edges: readonly number[], fill: string): uPlot.Series {
  const paths: uPlot.Series.PathBuilder = (u, at, from, to) => {
    const path = new Path2D();
    const ground = u.valToPos(0, "y", true);
    for (let bin = from; bin <= to; bin += 1) {
      const height = u.data[at]?.[bin];
      if (height === null || height === undefined) continue;
      const left = u.valToPos(placed(edges[bin] ?? 1), "x", true);
      const right = u.valToPos(placed(edges[bin + 1] ?? 1), "x", true);
      const top = Math.min(u.valToPos(height, "y", true), ground - 2);
      path.rect(left, top, Math.max(right - left - 1, 1), ground - top);
    }
    return { stroke: null, fill: path, clip: null, band: null, gaps: [], flags: 1 };
  };
  return { fill, width: 0, points: { show: false }, paths };
}

interface Held {
  of: S.ThresholdAt;
  x: number;
  area: Area;
  /** Of its word: words that would lie over each other stand in two rows. */
  row: number;
  least: number;
  most: number;
  scoreOf: (x: number) => number;
  onMove: ((score: number, done: boolean) => void) | null;
}

/** A slider: dragged by hand, or moved by the grid's steps with the arrow keys (Page Up and Down: by eight). */
function Handle({ of, x, area, row, least, most, scoreOf, onMove }: Held) {
  const held = useRef<{ off: number; frame: number; to: number } | null>(null);

  function down(event: PointerEvent) {
    if (!onMove || event.button !== 0) return;
    const self = event.currentTarget as HTMLElement;
    self.setPointerCapture(event.pointerId);
    self.focus();
    held.current = { off: event.clientX - x, frame: 0, to: of.score };
    event.preventDefault();
  }

  /** At most once a frame, however often the hand reports. */
  function move(event: PointerEvent) {
    const now = held.current;
    if (!now) return;
    now.to = scoreOf(event.clientX - now.off);
    if (now.frame) return;
    now.frame = requestAnimationFrame(() => {
      now.frame = 0;
      onMove?.(now.to, false);
    });
  }

  function up() {
    const now = held.current;
    if (!now) return;
    cancelAnimationFrame(now.frame);
    held.current = null;
    onMove?.(now.to, true);
  }

  function key(event: KeyboardEvent) {
    const by = STEPS[event.key];
    if (by === undefined || !onMove) return;
    event.preventDefault();
    onMove(stepped(of.score, by), true);
  }

  return (
    <div
      class={`handle is-${of.severity}`}
      style={{ left: `${x}px`, top: `${area.top - ROW * (row + 1)}px`, height: `${area.height + ROW * (row + 1)}px` }}
      role="slider"
      tabIndex={0}
      aria-label={`Threshold of ${of.severity}`}
      aria-orientation="horizontal"
      aria-valuemin={least}
      aria-valuemax={most}
      aria-valuenow={of.score}
      aria-valuetext={`score ${said(of.score)}`}
      aria-disabled={onMove === null}
      data-severity={of.severity}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onKeyDown={key}
    >
      <span class="handle-word">{of.severity}</span>
    </div>
  );
}

const STEPS: Record<string, number> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -8,
  PageUp: 8,
};
