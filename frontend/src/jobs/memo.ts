// Components that are drawn anew only when what they are given has changed.

import { Component, type ComponentChildren, type FunctionComponent, h } from "preact";

export function memo<P extends object>(Part: FunctionComponent<P>): new () => Component<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const before = this.props as Record<string, unknown>;
      // Functions are made anew each time and do the same.
      return Object.entries(next).some(([name, value]) =>
        typeof value !== "function" && before[name] !== value);
    }

    render(props: P): ComponentChildren {
      return h(Part, props);
    }
  };
}
