// The page: its frame, and what the address says.

import { useEffect, useState } from "preact/hooks";

import { announcement } from "../announce";
import { Lazy } from "../Lazy";
import { JobPage } from "../jobs/JobPage";
import { followAddress, route } from "../routes";
import { SignIn } from "../session/SignIn";
import { ConfirmDialog } from "./ConfirmDialog";
import { DropWindow } from "./DropWindow";
import { Heading } from "./Heading";
import { Home } from "./Home";
import { begin, open, pageTrouble, session } from "./kiosk";
import { TopBar } from "./TopBar";

export function App() {
  useEffect(() => {
    followAddress();
    void begin();
  }, []);
  return (
    <div class={session.isGuest.value ? "guest" : ""}>
      <a class="skip" href="#main">Skip to the content</a>
      <TopBar />
      <main id="main" tabIndex={-1}>
        {pageTrouble.value && <p class="banner" role="alert">{pageTrouble.value}</p>}
        <Page />
      </main>
      <DropWindow />
      <ConfirmDialog />
      <SignIn session={session} onSignedIn={open} />
      <p class="hidden" id="announce" role="status" aria-live="polite">{announcement.value}</p>
    </div>
  );
}

const loadComparison = () => import("../compare/ComparePage").then((part) => part.ComparePage);

function Page() {
  const here = route.value;
  if (here.page === "home") return <Home />;
  if (here.page === "job") return <JobPage key={here.id} id={here.id} />;
  if (here.page === "compare") {
    return <Lazy load={loadComparison} props={{ job: here.job, other: here.with }} />;
  }
  return <Nowhere />;
}

function Nowhere() {
  const [address] = useState(location.pathname);
  return (
    <>
      <Heading title="Nothing here">There is nothing at this address</Heading>
      <p>The kiosk has no page {address}. <a href="/">Go to all jobs</a></p>
    </>
  );
}
