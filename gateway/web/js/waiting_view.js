// The waiting room to look at: the curtain with what matters now, and beside it what is played, how
// it goes on and how the draw can be checked. Built once and then only changed, so that whoever
// reads, unfolds or selects is left alone. Decides nothing.

import { titles } from "./chrome.js";
import { h, setText } from "./dom.js";
import { clock, longDate, momentText, number, plural, t } from "./i18n.js";
import { Stage } from "./waiting_state.js";
import { aloudText, countdownText, waitText } from "./waiting_words.js";

const AFTER_THE_DRAW = new Set([Stage.WAITING, Stage.FULL, Stage.SOLD_OUT, Stage.LAPSED]);

export class WaitingView {
  /** `root` is the empty element to live in; `again()` is the wish to queue once more. */
  constructor(root, performance, again) {
    this.root = root;
    this.performance = performance;
    this.#build(again);
  }

  /** Shows where the buyer stands; answers it in one sentence or two, to be read aloud. */
  show(standing, stage, nowMs) {
    this.root.dataset.stage = stage;
    const told = words(standing, stage, nowMs);
    setText(this.kicker, told.kicker);
    setText(this.figure, told.figure);
    this.figure.classList.toggle("wordy", !/^[\d\s:.,’]+$/.test(told.figure));
    fill(this.label, told.label);
    fill(this.caption, told.caption);
    fill(this.warning, told.warning);
    this.again.hidden = stage !== Stage.LAPSED;
    this.others.hidden = stage !== Stage.SOLD_OUT;
    this.kept.hidden = !standing.number || stage === Stage.LAPSED;
    this.#showLine(standing, stage, told);
    this.#showSteps(standing, stage, nowMs);
    this.#showFacts(standing, stage);
    this.#showCheck(standing);
    return [told.kicker, told.aloud ?? told.figure, told.caption, told.warning].filter(Boolean).join(". ");
  }

  /** To where reading begins. */
  focus() {
    this.kicker.focus({ preventScroll: true });
  }

  #build(again) {
    this.kicker = h("h2.foyer-kicker", { id: "waiting-kicker", tabindex: "-1" });
    this.figure = h("p.foyer-figure", { id: "waiting-figure" });
    this.label = h("p.foyer-label", { id: "waiting-label" });
    this.come = h("span.foyer-come");
    this.line = h("div.foyer-line", { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100",
      "aria-label": t("web.queue.line"), id: "waiting-line" }, this.come);
    this.caption = h("p.foyer-caption", { id: "waiting-caption" });
    this.warning = h("p.foyer-warning", { id: "waiting-warning" });
    this.kept = h("p.foyer-kept", {}, t("web.queue.kept"));
    this.again = h("button.button.foyer-button", { type: "button", id: "queue-again", onclick: again },
      t("web.queue.again"));
    this.others = h("a.button.foyer-button", { href: "/" }, t("web.queue.others"));
    const [title, subtitle] = titles(this.performance);
    const starts = this.performance.starts_ms;
    this.root.replaceChildren(
      h("section.foyer", { "aria-labelledby": "waiting-kicker" },
        h("div.foyer-words", {}, this.kicker, this.figure, this.label, this.line, this.caption, this.warning,
          this.again, this.others)),
      h("section.playbill", {},
        h("h1", {}, title),
        subtitle && h("p.subtitle", {}, subtitle),
        h("p.when", {}, h("span", {}, t("web.when", { date: longDate(starts), time: clock(starts) })), " ",
          h("span.venue", {}, this.performance.venue))),
      h("div.foyer-side", {}, this.#steps(), this.#facts(), this.kept, this.#check()));
  }

  #steps() {
    const step = (title, text) => {
      const time = h("span.step-time");
      const item = h("li.step", {}, h("p.step-title", {}, title, " ", time), h("p.step-text", {}, text));
      return { item, time };
    };
    this.steps = [
      step(t("web.queue.step.opens"), t("web.queue.step.opens_text")),
      step(t("web.queue.step.draw"), t("web.queue.step.draw_text")),
      step(t("web.queue.step.turn"), t("web.queue.step.turn_text")),
    ];
    return h("section.panel-part", { "aria-labelledby": "steps-title" },
      h("h2.unseen", { id: "steps-title" }, t("web.queue.steps")),
      h("ol.steps", {}, this.steps.map(({ item }) => item)));
  }

  #facts() {
    const fact = (text, id) => {
      const value = h("dd", { id });
      return { value, row: h("div.fact", {}, h("dt", {}, text), value) };
    };
    this.came = fact(t("web.queue.fact.came"), "waiting-came");
    this.left = fact(t("web.queue.fact.left"), "waiting-left");
    this.pace = fact(t("web.queue.fact.pace"), "waiting-pace");
    this.facts = h("dl.facts", {}, [this.came, this.left, this.pace].map(({ row }) => row));
    return this.facts;
  }

  #check() {
    const { id } = this.performance;
    const log = `${location.origin}/api/performances/${id}/queue/log`;
    this.hash = h("code", { id: "waiting-commitment" });
    this.visitor = h("code", { id: "waiting-visitor" });
    this.command = h("code", {});
    this.log = log;
    this.fingerprint = h("div", {}, h("dt", {}, t("web.queue.check.commitment")), h("dd", {}, this.hash));
    this.named = h("div", {}, h("dt", {}, t("web.queue.check.visitor")), h("dd", {}, this.visitor));
    const shown = ({ target }) => target.open && target.scrollIntoView({ block: "nearest" });
    return h("details.check", { id: "waiting-check", ontoggle: shown },
      h("summary", {}, t("web.queue.check.title")),
      h("p", {}, t("web.queue.check.before")),
      h("p", {}, t("web.queue.check.draw")),
      h("dl", {}, this.fingerprint, this.named),
      h("p", {}, t("web.queue.check.after"), " ",
        h("a", { href: log, target: "_blank", rel: "noopener" }, t("web.queue.check.log"))),
      h("p.check-command", {}, this.command));
  }

  #showLine(standing, stage, told) {
    this.line.hidden = stage !== Stage.WAITING && stage !== Stage.FULL;
    // Told by custom property: the content policy forbids style attributes, not this.
    this.come.style.setProperty("--share", standing.share.toFixed(4));
    this.line.setAttribute("aria-valuenow", String(Math.round(standing.share * 100)));
    this.line.setAttribute("aria-valuetext", told.aloud ?? told.figure);
  }

  #showSteps(standing, stage, nowMs) {
    const [opens, draw] = this.steps;
    setText(opens.time, momentText(standing.opensMs, nowMs));
    setText(draw.time, momentText(standing.onSaleMs, nowMs));
    const drawn = standing.place >= 0 || AFTER_THE_DRAW.has(stage);
    const current = stage === Stage.SCHEDULED ? 0 : drawn ? 2 : 1;
    this.steps.forEach(({ item }, index) => {
      item.classList.toggle("done", index < current);
      if (index === current) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  }

  #showFacts(standing, stage) {
    const told = (fact, shown, value) => {
      fact.row.hidden = !shown;
      setText(fact.value, number(value));
    };
    told(this.came, standing.arrived > 0 && stage !== Stage.GATHERING, standing.arrived);
    told(this.left, standing.available >= 0 && AFTER_THE_DRAW.has(stage), standing.available);
    told(this.pace, stage === Stage.WAITING && standing.perMin > 0, standing.perMin);
    this.facts.hidden = [this.came, this.left, this.pace].every(({ row }) => row.hidden);
  }

  #showCheck({ commitment, visitor }) {
    this.fingerprint.hidden = !commitment;
    setText(this.hash, commitment);
    this.named.hidden = !visitor;
    setText(this.visitor, visitor);
    setText(this.command, `strapontin queue verify ${this.log}${visitor && ` --visitor ${visitor}`}`);
  }
}

function fill(element, text = "") {
  setText(element, text);
  element.hidden = !text;
}

/** {kicker, figure, label, caption, warning} of a stage; `aloud` for figure and label where they do not read well. */
function words(standing, stage, nowMs) {
  switch (stage) {
    case Stage.SCHEDULED: return {
      kicker: t("web.queue.scheduled.kicker"),
      figure: countdownText(standing.opensMs - nowMs),
      aloud: aloudText(standing.opensMs - nowMs),
      caption: onSale(standing.onSaleMs, nowMs),
    };
    case Stage.GATHERING: return {
      kicker: t("web.queue.gathering.kicker"),
      label: standing.arrived > 1 ? plural("web.queue.gathering.others", standing.arrived - 1) : "",
      figure: countdownText(standing.onSaleMs - nowMs),
      aloud: aloudText(standing.onSaleMs - nowMs),
      caption: t("web.queue.gathering.caption", { time: clock(standing.onSaleMs) }),
    };
    case Stage.DRAWING: return {
      kicker: t("web.queue.drawing.kicker", { time: clock(standing.onSaleMs) }),
      figure: t("web.queue.drawing.figure"),
      caption: t("web.queue.drawing.caption"),
    };
    case Stage.WAITING: return inLine(standing);
    case Stage.FULL: return {
      ...inLine(standing), kicker: t("web.queue.full.kicker"), caption: t("web.queue.full.caption"), warning: "",
    };
    case Stage.SOLD_OUT: return {
      kicker: t("web.queue.name"),
      figure: t("web.queue.sold_out.figure"),
      label: standing.ahead ? plural("web.queue.sold_out.ahead", standing.ahead) : "",
      caption: t("web.queue.sold_out.caption"),
    };
    case Stage.LAPSED: return {
      kicker: t("web.queue.name"),
      figure: t("web.queue.lapsed.figure"),
      caption: t("web.queue.lapsed.caption"),
    };
    case Stage.BUSY: return {
      kicker: t("web.queue.name"),
      figure: t("web.queue.busy.figure"),
      caption: t("web.queue.busy.caption"),
    };
    default: return {
      kicker: t("web.queue.name"),
      figure: t("web.queue.joining.figure"),
      caption: t("web.queue.joining.caption"),
    };
  }
}

function onSale(ms, nowMs) {
  const time = momentText(ms, nowMs);
  return t(time === clock(ms) ? "web.queue.scheduled.caption" : "web.queue.scheduled.caption_day", { time });
}

function inLine(standing) {
  if (!standing.ahead) {
    return {
      kicker: t("web.queue.waiting.kicker"), figure: t("web.queue.next"), caption: t("web.queue.next_caption"),
    };
  }
  const [figure, label] = [number(standing.ahead), plural("web.queue.ahead", standing.ahead)];
  return {
    kicker: t("web.queue.waiting.kicker"),
    figure,
    label,
    aloud: `${figure} ${label}`,
    caption: waitText(standing.waitMinutes),
    warning: standing.scarce ? plural("web.queue.scarce", standing.available) : "",
  };
}
