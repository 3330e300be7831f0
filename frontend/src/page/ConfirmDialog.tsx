import { useEffect, useRef } from "preact/hooks";

import { question } from "./confirm";

export function ConfirmDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const asked = question.value;
  useEffect(() => {
    if (asked) dialog.current?.showModal();
    else dialog.current?.close();
  }, [asked]);
  return (
    <dialog ref={dialog} id="confirm" aria-labelledby="confirm-title"
      onCancel={(event) => { event.preventDefault(); asked?.settle(false); }}>
      <h2 id="confirm-title">{asked?.title}</h2>
      <p>{asked?.text}</p>
      <p class="dialog-buttons">
        <button type="button" onClick={() => asked?.settle(false)}>Keep</button>
        <button type="button" class="danger" onClick={() => asked?.settle(true)}>{asked?.yes}</button>
      </p>
    </dialog>
  );
}
