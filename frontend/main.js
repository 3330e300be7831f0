// Joins the parts of the page and follows its address.

import { health } from "./api.js";
import { $, count, say } from "./dom.js";
import { JobPage } from "./job.js";
import { JobList } from "./jobs.js";
import { UploadList } from "./sending.js";
import { Session } from "./session.js";
import { Settings } from "./settings.js";
import { JobStore } from "./store.js";
import { byName, droppedFiles, withoutZarr } from "./upload.js";

const RETRY_MS = 3000;

const session = new Session();
const store = new JobStore(session);
const settings = new Settings(() => {
  jobs.repaint();
  page.repaint();
});
const jobs = new JobList($("jobs"), $("empty"), store, settings);
const uploads = new UploadList($("uploads"), store, () => ({
  settings: settings.request(), series: settings.series(),
}));
const page = new JobPage(store, settings, session, () => go("/"));

// ---------------------------------------------------------------- addresses

function go(address) {
  history.pushState(null, "", address);
  route(true);
}

/** Show what the address says; after a click the focus goes along, for keyboards and readers. */
function route(isMove) {
  const id = location.pathname.match(/^\/jobs\/([^/]+)$/)?.[1];
  $("home").hidden = Boolean(id);
  $("job").hidden = !id;
  if (id) {
    page.open(decodeURIComponent(id));
  } else {
    page.close();
    document.title = "Kiosk";
  }
  if (isMove) {
    scrollTo(0, 0);
    (id ? $("job-title") : $("main")).focus({ preventScroll: true });
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-route]");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (!link || !isPlain) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
window.addEventListener("popstate", () => route(true));

// ---------------------------------------------------------------- files

function take(chosen) {
  const { files, folders } = withoutZarr(chosen);
  if (folders.length > 0) {
    say($("jobs-error"), `“${folders[0]}” is an OME-Zarr folder. Zip it without compression and drop`
      + " the zip, or use the command kiosk segment, which takes the folder.");
  }
  if (files.length === 0) return;
  if (!settings.isReady) {
    say($("jobs-error"), "No model is ready yet. Drop the files again in a moment.");
    return;
  }
  if (folders.length === 0) say($("jobs-error"), "");
  uploads.add(files);
}

for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", () => {
    take([...$(input).files].sort(byName));
    $(input).value = ""; // so that the same file can be chosen again
  });
}

// The whole window takes a drop: missing the frame must not open the file in the browser.
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
let depth = 0;
window.addEventListener("dragenter", (event) => {
  if (hasFiles(event) && ++depth === 1) document.body.classList.add("dropping");
});
window.addEventListener("dragleave", (event) => {
  if (hasFiles(event) && --depth <= 0) endDrag();
});
window.addEventListener("dragover", (event) => {
  if (hasFiles(event)) event.preventDefault();
});
window.addEventListener("drop", async (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  endDrag();
  if (location.pathname !== "/") go("/");
  try {
    take(await droppedFiles(event.dataTransfer));
  } catch {
    say($("jobs-error"), "The browser could not read what was dropped. Choose the files instead.");
  }
});

function endDrag() {
  depth = 0;
  document.body.classList.remove("dropping");
}

// ---------------------------------------------------------------- jobs

async function loadJobs() {
  try {
    await store.refresh();
    say($("jobs-error"), "");
    jobs.count();
  } catch (error) {
    say($("jobs-error"), error.message);
    setTimeout(loadJobs, RETRY_MS);
  }
  $("older").hidden = !store.nextPage;
}

$("older").addEventListener("click", async () => {
  try {
    await store.older();
  } catch (error) {
    say($("jobs-error"), error.message);
  }
  $("older").hidden = !store.nextPage;
});

/** How busy the kiosk is, in the corner; asked when a job begins or ends. */
async function showBusy() {
  try {
    const { backlog } = await health();
    if (!backlog) return; // nobody is signed in any more
    $("server").textContent = backlog.jobs ? `${count(backlog.jobs, "open job")}` : "Ready";
    $("server").dataset.state = backlog.jobs ? "busy" : "ready";
  } catch {
    $("server").textContent = "Not reachable";
    $("server").dataset.state = "away";
  }
}
let busyTimer = 0;
store.subscribe((job, before) => {
  if (job && before && job.state === before.state) return;
  clearTimeout(busyTimer);
  busyTimer = setTimeout(showBusy, 300);
});

async function begin() {
  try {
    await session.load();
  } catch (error) {
    say($("jobs-error"), error.message);
    setTimeout(begin, RETRY_MS);
    return;
  }
  document.body.classList.toggle("guest", session.isGuest);
  if (!session.isGuest) {
    settings.load();
    loadJobs();
    showBusy();
  } else if (location.pathname === "/") {
    session.ask();
  }
  route(false);
}

begin();
