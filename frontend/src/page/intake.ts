// Files that were chosen or dropped, on their way into the tray.

import { announce } from "../announce";
import { count } from "../format/numbers";
import { sorted } from "../upload/dropped";
import { pageTrouble, tray } from "./kiosk";

export function takeFiles(chosen: readonly File[]): void {
  const { files, zarrFolders } = sorted(chosen);
  pageTrouble.value = zarrFolders.length === 0 ? ""
    : `“${zarrFolders[0]}” is an OME-Zarr folder. Zip it without compression and drop the zip, or use`
      + " the command kiosk segment, which takes the folder.";
  if (files.length === 0) return;
  tray.take(files);
  announce(`${count(files.length, "file")} added.`);
}
