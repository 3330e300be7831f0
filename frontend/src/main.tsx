import { render } from "preact";

import { App } from "./page/App";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/frame.css";
import "./styles/intake.css";
import "./styles/run.css";
import "./styles/jobs.css";
import "./styles/job.css";

render(<App />, document.getElementById("app")!);
