// Per channel: shown or not, colour, contrast.

import { autoLimits, type Limits, sliderEnd, withHigh, withLow } from "./contrast";
import type { Stage } from "./stage";
import { type ChannelLooks, realValue } from "./state";

export function ChannelControls({ stage }: { stage: Stage }) {
  const channels = stage.state.channels.value;
  if (channels.length === 0) return null;
  return (
    <details class="viewer-section" open>
      <summary>{channels.length > 1 ? "Channels" : "Contrast"}</summary>
      <div class="viewer-channels">
        {channels.map((looks) => <ChannelRow key={looks.channel} stage={stage} looks={looks} />)}
      </div>
    </details>
  );
}

function ChannelRow({ stage, looks }: { stage: Stage; looks: ChannelLooks }) {
  const { channel, name, colour, limits, isVisible } = looks;
  const change = (what: Partial<ChannelLooks>) => stage.state.setChannel(channel, what);
  const auto = () => {
    const found = autoLimits(stage.tilesInView(channel));
    if (found) change({ limits: found });
  };
  return (
    <div class="viewer-channel" role="group" aria-label={name}>
      <label class="viewer-check">
        <input type="checkbox" checked={isVisible} onChange={(event) => change({ isVisible: event.currentTarget.checked })} />
        <span class="viewer-name">{name}</span>
      </label>
      <input
        type="color" value={colour} aria-label={`${name}, colour`}
        onInput={(event) => change({ colour: event.currentTarget.value })}
      />
      <ContrastSlider stage={stage} looks={looks} onChange={(next) => change({ limits: next })} />
      <output>{realValue(stage.image, channel, limits.low)} to {realValue(stage.image, channel, limits.high)}</output>
      <button type="button" disabled={!isVisible} aria-label={`Auto contrast of ${name}`} title="Contrast from what is in view" onClick={auto}>
        Auto
      </button>
    </div>
  );
}

/** Two thumbs on one line; each is a slider of its own for the keyboard and screen readers. */
function ContrastSlider(props: { stage: Stage; looks: ChannelLooks; onChange: (limits: Limits) => void }) {
  const { stage, looks: { channel, name, limits, colour }, onChange } = props;
  const { image } = stage;
  const end = Math.max(sliderEnd(image.dtype, image.channels[channel]!.high), limits.high);
  const percent = (value: number) => `${(100 * value) / end}%`;
  return (
    <span class="viewer-contrast">
      <i style={{ left: percent(limits.low), right: percent(end - limits.high), background: colour }} />
      <input
        type="range" min="0" max={end} value={limits.low} aria-label={`${name}, black up to`}
        aria-valuetext={realValue(image, channel, limits.low)}
        onInput={(event) => onChange(withLow(limits, Number(event.currentTarget.value)))}
      />
      <input
        type="range" min="0" max={end} value={limits.high} aria-label={`${name}, brightest from`}
        aria-valuetext={realValue(image, channel, limits.high)}
        onInput={(event) => onChange(withHigh(limits, Number(event.currentTarget.value)))}
      />
    </span>
  );
}
