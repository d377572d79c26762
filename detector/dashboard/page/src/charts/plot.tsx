/** One uPlot chart that follows its place's width and the page's colours. */
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { colour, whenRecoloured } from "../parts/theme";

export type Paint = (name: string) => string;
export type Drawn = Omit<uPlot.Options, "width" | "height">;

interface Given {
  /** What it shows, in a sentence: for whoever does not see it. */
  label: string;
  height: number;
  /** Must be the same function as long as nothing but the data changes. */
  options: (paint: Paint) => Drawn;
  data: uPlot.AlignedData;
  /** Where the plot itself begins and how wide it is, in CSS pixels: for what is laid over it. */
  onArea?: (area: Area) => void;
}

export interface Area {
  left: number;
  width: number;
  top: number;
  height: number;
}

export function Plot({ label, height, options, data, onArea }: Given) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(data);
  latest.current = data;
  const told = useRef(onArea);
  told.current = onArea;
  const [turn, setTurn] = useState(0);

  useEffect(() => whenRecoloured(() => setTurn((n) => n + 1)), []);

  useEffect(() => {
    const div = place.current;
    if (!div) return undefined;
    const width = () => Math.max(120, div.clientWidth);
    let last = "";
    const area = ({ bbox }: uPlot) => {
      if (last === (last = [bbox.left, bbox.width, bbox.top, bbox.height].join())) return;
      const dpr = uPlot.pxRatio;
      told.current?.({ left: bbox.left / dpr, width: bbox.width / dpr, top: bbox.top / dpr, height: bbox.height / dpr });
    };
    const drawn = options(colour);
    const hooks = { ...drawn.hooks, draw: [...(drawn.hooks?.draw ?? []), area] };
    const made = new uPlot({ ...drawn, hooks, width: width(), height }, latest.current, div);
    chart.current = made;
    const observer = new ResizeObserver(() => {
      if (made.width === width()) return;
      made.setSize({ width: width(), height });
    });
    observer.observe(div);
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [options, height, turn]);

  useEffect(() => {
    const made = chart.current;
    if (made && made.data !== data) made.setData(data);
  }, [data]);

  return <div class="plot" role="img" aria-label={label} ref={place} style={{ minHeight: `${height}px` }} />;
}

export const FONT = "12px system-ui, sans-serif";

/** An axis in the page's colours. */
export function axis(paint: Paint, of: Partial<uPlot.Axis>): uPlot.Axis {
  return {
    font: FONT,
    labelFont: FONT,
    stroke: paint("muted"),
    grid: { stroke: paint("line"), width: 1 },
    ticks: { show: false },
    ...of,
  };
}
