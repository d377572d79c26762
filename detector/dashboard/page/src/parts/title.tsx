/** The heading of a page: names the tab, and takes the focus when one comes from another page. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

let first = true;

export function Title({ children, name, aside }: { children: ComponentChildren; name: string; aside?: ComponentChildren }) {
  const self = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${name} · querywarden`;
  }, [name]);
  useEffect(() => {
    if (!first) self.current?.focus({ preventScroll: true });
    first = false;
    window.scrollTo(0, 0);
  }, []);
  return (
    <header class="title">
      <h1 ref={self} tabIndex={-1}>
        {children}
      </h1>
      {aside && <div class="title-aside">{aside}</div>}
    </header>
  );
}
