/** Which page is shown to whom. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { Route, Switch } from "wouter-preact";
import { get, problemIn, speakAs, whenLost } from "./api/client";
import { connect, disconnect } from "./api/live";
import { Who } from "./api/session";
import type * as S from "./api/shapes";
import { Allowed } from "./pages/allowed";
import { Audit } from "./pages/audit";
import { Cases } from "./pages/cases";
import { Client } from "./pages/client";
import { Clients } from "./pages/clients";
import { Health } from "./pages/health";
import { Login } from "./pages/login";
import { Overview } from "./pages/overview";
import { Thresholds } from "./pages/thresholds";
import { Tokens } from "./pages/tokens";
import { Failed, Nothing } from "./parts/states";
import { Title } from "./parts/title";
import { Shell } from "./shell";

/** session undefined: not known yet; null: nobody. lost: it ended while a page was open. */
interface State {
  session: S.Session | null | undefined;
  lost: boolean;
  problem?: S.Problem;
}

export function App() {
  const [state, setState] = useState<State>({ session: undefined, lost: false });

  const enter = useCallback((session: S.Session) => {
    speakAs(session);
    connect();
    setState({ session, lost: false });
  }, []);

  const find = useCallback(() => {
    get<S.Session>("/session").then(enter, (error: unknown) => {
      const problem = problemIn(error);
      setState(problem.status === 401 ? { session: null, lost: false } : { session: undefined, lost: false, problem });
    });
  }, [enter]);

  useEffect(() => {
    whenLost(() => {
      disconnect();
      setState((now) => ({ ...now, lost: true }));
    });
    find();
  }, [find]);

  if (state.session === undefined) {
    return <div class="alone">{state.problem && <Failed problem={state.problem} again={find} />}</div>;
  }
  if (state.session === null) {
    return (
      <main>
        <Login onIn={enter} again={false} />
      </main>
    );
  }
  return (
    <Who.Provider value={state.session}>
      {state.lost && (
        <div class="veil" role="dialog" aria-modal="true" aria-label="Log in again">
          <Login onIn={enter} again />
        </div>
      )}
      <div inert={state.lost}>
        <Shell
          onOut={() => {
            disconnect();
            speakAs(null);
            setState({ session: null, lost: false });
          }}
        >
          <Pages />
        </Shell>
      </div>
    </Who.Provider>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/" component={Overview} />
      <Route path="/alerts" component={Cases} />
      <Route path="/clients" component={Clients} />
      <Route path="/client" component={Client} />
      <Route path="/thresholds" component={Thresholds} />
      <Route path="/allowed" component={Allowed} />
      <Route path="/health" component={Health} />
      <Route path="/audit" component={Audit} />
      <Route path="/tokens" component={Tokens} />
      <Route>
        <Title name="No page">No page</Title>
        <Nothing title="There is nothing at this address">The address may be mistyped. The menu lists every page.</Nothing>
      </Route>
    </Switch>
  );
}
