// The dialog that asks for an API key.

import { useEffect, useRef, useState } from "preact/hooks";

import { sentenceOf } from "../api/problem";
import type { SessionStore } from "./session";

export function SignIn({ session, onSignedIn }: { session: SessionStore; onSignedIn: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const [trouble, setTrouble] = useState("");
  const isAsking = session.isAsking.value;

  useEffect(() => {
    if (isAsking && !dialog.current?.open) {
      dialog.current?.showModal();
      input.current?.focus();
    } else if (!isAsking) {
      dialog.current?.close();
    }
  }, [isAsking]);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setTrouble("");
    try {
      await session.signIn(input.current?.value.trim() ?? "");
    } catch (error) {
      setTrouble(sentenceOf(error));
      input.current?.select();
      return;
    }
    if (input.current) input.current.value = "";
    onSignedIn();
  }

  return (
    <dialog ref={dialog} id="sign-in" aria-labelledby="sign-in-title"
      onCancel={(event) => event.preventDefault()}>
      <form onSubmit={submit}>
        <h2 id="sign-in-title">Sign in</h2>
        <p>This kiosk asks who you are. Paste your API key; those who run the kiosk make one for
          you.</p>
        <div class="field">
          <label for="key">API key</label>
          <input ref={input} id="key" type="password" autocomplete="current-password"
            spellcheck={false} required />
        </div>
        {trouble && <p class="row-error" role="alert">{trouble}</p>}
        <p class="dialog-buttons"><button class="primary">Sign in</button></p>
      </form>
    </dialog>
  );
}
