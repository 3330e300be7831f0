// The numbers of post-processing that a model lets be set.

import type { Parameter } from "../api/types";
import { typed } from "../format/numbers";
import { settings } from "../page/kiosk";
import { labelOf } from "./settings";

export function ParameterFields() {
  const parameters = settings.model.value?.parameters ?? [];
  if (parameters.length === 0) return null;
  return (
    <fieldset class="field" id="parameters">
      <legend>Finding the cells</legend>
      {parameters.map((parameter) => (parameter.kind === "switch"
        ? <Switch key={parameter.name} parameter={parameter} />
        : <NumberField key={parameter.name} parameter={parameter} />))}
    </fieldset>
  );
}

function set(name: string, text: string): void {
  settings.typed.value = { ...settings.typed.value, [name]: text };
}

function NumberField({ parameter }: { parameter: Parameter }) {
  const { name, kind, default_value, minimum, maximum, meaning } = parameter;
  const id = `parameter-${name}`;
  return (
    <div class="field inline explained" title={meaning}>
      <label for={id}>{labelOf(parameter)}</label>
      {/* Not type="number": that refuses a comma in some languages and a point in others. */}
      <input id={id} name={name} type="text" autocomplete="off"
        inputMode={kind === "whole" ? "numeric" : "decimal"}
        placeholder={typed(default_value)} value={settings.typed.value[name] ?? ""}
        aria-describedby={`${id}-text`}
        onInput={(event) => set(name, event.currentTarget.value)} />
      <p class="hint" id={`${id}-text`}>{meaning} From {typed(minimum)} to {typed(maximum)}.</p>
    </div>
  );
}

function Switch({ parameter }: { parameter: Parameter }) {
  const { name, default_value, meaning } = parameter;
  const isOn = (settings.typed.value[name] ?? String(default_value)) === "1";
  return (
    <label class="option">
      <input type="checkbox" name={name} checked={isOn}
        onChange={(event) => set(name, event.currentTarget.checked ? "1" : "0")} />
      <span>{labelOf(parameter)}<span class="hint">{meaning}</span></span>
    </label>
  );
}
