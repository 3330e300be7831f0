// The first page: files go in, jobs are listed.

import { useEffect } from "preact/hooks";

import { FilesCard } from "../files/FilesCard";
import { count } from "../format/numbers";
import { JobList } from "../jobs/JobList";
import { Heading } from "./Heading";
import { jobs, session } from "./kiosk";

export function Home() {
  const running = jobs.open.value.length;
  const isStranger = session.isKnown.value && session.isGuest.value;
  // A share link shows its job to whoever has it; here one has to be somebody.
  useEffect(() => { if (isStranger) session.isAsking.value = true; }, [isStranger]);
  return (
    <>
      <Heading title={running > 0 ? `${count(running, "open job")}` : ""} isHidden>Segment images</Heading>
      <FilesCard />
      <JobList />
    </>
  );
}
