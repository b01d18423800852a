//! How it looks.

use mach_core::{BlockRef, Statement};
use mach_node::{
    RoundState, RoundView,
    finality::{AlertView, VerifiedView, VerifierView},
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Sparkline, Table, TableState},
};

use super::{
    app::{App, Focus},
    details::{self, short},
    picture::Bundle,
};
use crate::rules;

/// Verifiers that are shown.
const MOST_VERIFIERS: usize = 4;
/// Operators who did not sign, and bundles of evidence, that there is room for.
const MOST_ABSENT: usize = 4;
const MOST_BUNDLES: usize = 2;

const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WAITING: Style = Style::new().fg(Color::Yellow);
const QUIET: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

impl App {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let verifiers = u16::try_from(self.verifiers().len()).unwrap_or(u16::MAX);
        let [title, heads, rounds, alerts, details, keys] = Layout::vertical([
            Constraint::Length(2),
            Constraint::Length(5 + verifiers.min(MOST_VERIFIERS as u16)),
            Constraint::Fill(3),
            Constraint::Fill(2),
            Constraint::Length(9),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.title(), title);
        let [heads, stake] =
            Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(heads);
        frame.render_widget(self.heads(), heads);
        self.draw_stake(frame, stake);
        self.draw_rounds(frame, rounds);
        self.draw_alerts(frame, alerts);
        frame.render_widget(self.details(), details);
        let help = "q end   tab rollup   \u{2190}\u{2192} rounds, alerts   \u{2191}\u{2193} choose";
        frame.render_widget(Line::styled(help, QUIET), keys);
    }

    fn title(&self) -> Paragraph<'_> {
        let mut first = vec![
            Span::styled("mach", STRONG),
            Span::raw(format!("  {}", self.source)),
        ];
        let second = match (&self.error, self.shown()) {
            (Some(error), _) => Line::styled(format!("not heard: {error}"), BAD),
            (None, None) => Line::styled("no rollup is served", QUIET),
            (None, Some(_)) => {
                let alerts = self.alerts();
                let standing = alerts.iter().filter(|alert| !alert.is_resolved).count();
                match standing {
                    0 => Line::styled("clean: no alert stands", GOOD),
                    1 => Line::styled("1 alert stands", BAD),
                    more => Line::styled(format!("{more} alerts stand"), BAD),
                }
            }
        };
        if let Some(rollup) = self.shown() {
            let (number, count) = (self.rollup() + 1, self.picture.rollups.len());
            let text = format!("  rollup {} ({number} of {count})", rollup.rollup);
            first.push(Span::styled(text, STRONG));
        }
        Paragraph::new(vec![Line::from(first), second])
    }

    /// The heads, and how far each verifier is that tells it.
    fn heads(&self) -> Table<'_> {
        let heads = self.shown().map(|rollup| rollup.heads).unwrap_or_default();
        let row = |name: &'static str, block: Option<BlockRef>, who: &str| {
            let behind = match (block, heads.seen) {
                (Some(block), Some(seen)) if block.number < seen.number => {
                    format!("{} behind", seen.number - block.number)
                }
                _ => String::new(),
            };
            let (number, hash) = block.map_or_else(
                || ("none".to_owned(), String::new()),
                |block| (block.number.to_string(), short(&block.hash.to_string())),
            );
            Row::new([
                Cell::from(name),
                Cell::from(number).style(STRONG),
                Cell::from(hash).style(QUIET),
                Cell::from(format!("{behind} {who}").trim().to_owned()).style(QUIET),
            ])
        };
        let verifiers = self.verifiers();
        let verified = verifiers.iter().take(MOST_VERIFIERS);
        let verified = verified.map(|(verifier, view)| {
            let silent = verifier.silent_for.map(|it| format!(", silent for {it} s"));
            let broken = if view.is_broken {
                ", stopped by a reorg"
            } else {
                ""
            };
            let who = format!("{}{broken}{}", verifier.name, silent.unwrap_or_default());
            row("verified", view.verified, &who)
        });
        let rows = std::iter::once(row("unsafe", heads.seen, ""))
            .chain(verified)
            .chain([
                row("attested", heads.finalized_by_stake, ""),
                row("confirmed", heads.confirmed, ""),
            ]);
        let widths = [
            Constraint::Length(10),
            Constraint::Length(11),
            Constraint::Length(18),
            Constraint::Fill(1),
        ];
        Table::new(rows, widths).block(Block::bordered().title(" heads "))
    }

    /// Verifiers of the rollup that is shown.
    fn verifiers(&self) -> Vec<(&VerifierView, &VerifiedView)> {
        let rollup = self.shown().map(|rollup| rollup.rollup);
        let all = self.picture.node.iter().flat_map(|node| &node.verifiers);
        all.filter_map(|verifier| {
            let view = verifier.rollups.iter().find(|it| Some(it.rollup) == rollup);
            view.map(|view| (verifier, view))
        })
        .collect()
    }

    /// Stake behind the newest attestations, the newest on the right.
    fn draw_stake(&self, frame: &mut Frame<'_>, area: Rect) {
        let attestations = self
            .shown()
            .and_then(|rollup| self.picture.attestations.get(&rollup.rollup));
        let attestations = attestations.map_or(&[][..], Vec::as_slice);
        let room = usize::from(area.width.saturating_sub(2));
        let mut shown: Vec<_> = attestations.iter().take(room).collect();
        shown.reverse();
        let mut frame_of = Block::bordered().title(" stake: no block is attested yet ");
        if let (Some(first), Some(last)) = (shown.first(), shown.last()) {
            let needed = last.stake.quorums.iter().map(|it| it.threshold).max();
            let (percent, needed) = (last.stake.percent, needed.unwrap_or_default());
            let (first, last) = (first.block.number, last.block.number);
            frame_of = Block::bordered()
                .title(format!(" stake {percent} %, {needed} % needed "))
                .title_bottom(format!(" blocks {first} to {last} "));
        }
        let percents = shown.iter().map(|it| u64::from(it.stake.percent));
        let chart = Sparkline::default()
            .data(percents)
            .max(100)
            .style(GOOD)
            .block(frame_of);
        frame.render_widget(chart, area);
    }

    fn draw_rounds(&self, frame: &mut Frame<'_>, area: Rect) {
        let rounds = self.rounds();
        let rows = rounds.iter().map(|report| {
            let round = &report.round;
            let is_alert = matches!(round.statement, Statement::Alert(_));
            let (state, style) = state(round);
            let members = round.signers.len() + round.absent.len();
            Row::new([
                Cell::from(state).style(style),
                if is_alert {
                    Cell::from("alert").style(BAD)
                } else {
                    Cell::from("attestation")
                },
                Cell::from(round.statement.block().number.to_string()),
                Cell::from(short(&round.statement.block().hash.to_string())).style(QUIET),
                Cell::from(shares(round)),
                Cell::from(format!("{} of {members}", round.signers.len())),
            ])
        });
        let widths = [
            Constraint::Length(11),
            Constraint::Length(11),
            Constraint::Length(12),
            Constraint::Length(19),
            Constraint::Fill(1),
            Constraint::Length(14),
        ];
        let header = [
            "state",
            "statement",
            "block",
            "",
            "stake / needed",
            "operators",
        ];
        let table = Table::new(rows, widths).header(Row::new(header).style(QUIET));
        let leads = self.picture.node.as_ref().is_none_or(|node| node.leads);
        let title = if leads {
            " rounds "
        } else {
            " rounds: this instance stands by, the one that leads has them "
        };
        self.list(frame, area, table, Focus::Rounds, title);
    }

    fn draw_alerts(&self, frame: &mut Frame<'_>, area: Rect) {
        let alerts = self.alerts();
        let rows = alerts.iter().map(|alert| {
            let (state, style) = if alert.is_resolved {
                ("resolved", GOOD)
            } else {
                ("stands", BAD)
            };
            // Found on L1, which has checked it: there is no certificate here.
            let is_certified = !alert.stake.quorums.is_empty();
            let stake = is_certified.then(|| format!("{} %", alert.stake.percent));
            let on_l1 = match alert.confirmation {
                None => "not on L1".to_owned(),
                Some(_) if !is_certified => "checked by L1".to_owned(),
                Some(it) => format!("L1 block {}", it.l1_block),
            };
            Row::new([
                Cell::from(state).style(style),
                Cell::from(kind(alert)),
                Cell::from(alert.block.number.to_string()),
                Cell::from(rules::told(alert.rule)),
                Cell::from(stake.unwrap_or_default()),
                Cell::from(on_l1),
            ])
        });
        let widths = [
            Constraint::Length(11),
            Constraint::Length(22),
            Constraint::Length(12),
            Constraint::Length(30),
            Constraint::Length(8),
            Constraint::Fill(1),
        ];
        let table = Table::new(rows, widths);
        self.list(frame, area, table, Focus::Alerts, " alerts ");
    }

    fn list(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        table: Table<'_>,
        focus: Focus,
        title: &'static str,
    ) {
        let has_focus = self.focus == focus;
        let style = if has_focus { STRONG } else { QUIET };
        let block = Block::bordered().title(Span::styled(title, style));
        let table = table.block(block).row_highlight_style(CHOSEN);
        let chosen = self.chosen().filter(|_| has_focus);
        let mut state = TableState::default().with_selected(chosen);
        frame.render_stateful_widget(table, area, &mut state);
    }

    /// Of what is chosen: who did not sign and why, or what is claimed and what proves it.
    fn details(&self) -> Paragraph<'_> {
        let chosen = self.chosen();
        let lines = match self.focus {
            Focus::Rounds => {
                let rounds = self.rounds();
                let round = chosen.and_then(|chosen| rounds.get(chosen).copied());
                round.map_or_else(Vec::new, |it| details::round(it, MOST_ABSENT))
            }
            Focus::Alerts => {
                let alerts = self.alerts();
                let alert = chosen.and_then(|chosen| alerts.get(chosen).copied());
                alert.map_or_else(Vec::new, |it| {
                    details::alert(it, self.evidence(it), MOST_BUNDLES)
                })
            }
        };
        Paragraph::new(lines).block(Block::bordered().title(Span::styled(" chosen ", QUIET)))
    }

    fn evidence(&self, alert: &AlertView) -> &[Bundle] {
        let evidence = self.picture.evidence.get(&alert.digest);
        evidence.map_or(&[], Vec::as_slice)
    }

    /// Rounds that operators are absent from, and all alerts, of the rollup that is shown, each in all
    /// that is known of it, as lines of text.
    pub(super) fn told(&self) -> String {
        let mut text = String::new();
        let mut tell = |title: String, lines: Vec<Line<'static>>| {
            text.push_str(&format!("\n{title}\n"));
            for line in lines {
                text.push_str(&format!("  {line}\n"));
            }
        };
        let rounds = self.rounds().into_iter();
        for report in rounds.filter(|it| !it.round.absent.is_empty()) {
            let statement = &report.round.statement;
            let what = match statement {
                Statement::Alert(_) => "alert against",
                Statement::Attestation(_) => "attestation of",
            };
            let title = format!("round: {what} block {}", statement.block().number);
            tell(title, details::round(report, usize::MAX));
        }
        for alert in self.alerts() {
            let state = if alert.is_resolved {
                "resolved"
            } else {
                "stands"
            };
            let (kind, number) = (kind(alert), alert.block.number);
            let title = format!("alert: {kind} at block {number}, {state}");
            tell(
                title,
                details::alert(alert, self.evidence(alert), usize::MAX),
            );
        }
        text
    }
}

const fn state(round: &RoundView) -> (&'static str, Style) {
    match round.state {
        RoundState::Collecting => ("collecting", WAITING),
        RoundState::Certified => ("certified", GOOD),
        RoundState::Confirmed(_) => ("confirmed", GOOD),
        RoundState::Withdrawn => ("withdrawn", WAITING),
    }
}

/// Of each quorum, what signed and what has to.
fn shares(round: &RoundView) -> String {
    let shares = round.quorums.iter().map(|quorum| {
        let total = quorum.total.weight();
        // 96 bits times 1000 fit.
        let tenths = (quorum.signed.weight() * 1000).checked_div(total);
        let tenths = tenths.unwrap_or_default();
        let needed = quorum.threshold.value();
        format!("{}.{} % / {needed} %", tenths / 10, tenths % 10)
    });
    shares.collect::<Vec<_>>().join(", ")
}

const fn kind(alert: &AlertView) -> &'static str {
    use mach_core::AlertKind;
    match alert.kind {
        AlertKind::InvalidBlock => "invalid block",
        AlertKind::InvalidOutputProposal => "invalid proposal",
        AlertKind::WrongBlockHash => "wrong block hash",
        AlertKind::NotDerivable => "not derivable",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::{picture::Picture, text};
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use serde_json::json;

    /// As the API writes it.
    fn picture() -> Picture {
        let hash = |byte: &str| format!("0x{}", byte.repeat(32));
        let block = |number: u64, byte: &str| json!({ "number": number, "hash": hash(byte) });
        let stake = |percent: u8| {
            let quorum = json!({ "quorum": 0, "signed": "1", "total": "2", "threshold": 66 });
            json!({ "percent": percent, "quorums": [quorum] })
        };
        let confirmation = json!({
            "digest": hash("d1"), "transaction": hash("7a"), "l1Block": 4242, "gasUsed": 1,
        });
        let alert = json!({
            "digest": hash("d1"), "rollup": 901, "block": block(121, "bb"), "kind": "invalidBlock",
            "rule": 20, "claimed": hash("c1"), "computed": hash("c0"), "stake": stake(88),
            "confirmation": confirmation, "isResolved": false,
        });
        let rollup = |id: u64, alerts: serde_json::Value| {
            json!({
                "rollup": id, "alerts": alerts,
                "heads": { "seen": block(122, "a1"), "finalizedByStake": block(120, "a2"), "confirmed": null },
                "domain": { "l1ChainId": 1, "serviceManager": "0x5fbdb2315678afecb367f032d93f642f64180aa3" },
            })
        };
        let round = json!({
            "digest": hash("d2"), "referenceBlock": 4200, "state": { "state": "collecting" },
            "statement": {
                "type": "attestation", "rollupChainId": 901, "block": block(120, "a2"),
                "stateRoot": hash("00"), "outputRoot": hash("00"),
            },
            "quorums": [{ "quorum": 0, "signed": "555", "total": "1000", "threshold": 66 }],
            "signers": [hash("01"), hash("02")], "absent": [hash("03")],
            "reasons": { (hash("03")): "signed up to block 119: is behind" },
        });
        let attestation = |number: u64, percent: u8| {
            json!({
                "digest": hash("d3"), "rollup": 901, "block": block(number, "a3"),
                "stake": stake(percent),
            })
        };
        let verifier = json!({
            "name": "operator-1",
            "rollups": [{
                "rollup": 901, "head": block(122, "a1"), "verified": block(121, "a4"), "lag": 1,
                "invalid": 1, "undecided": 0, "isBroken": false,
            }],
        });
        let bundle = json!({ "name": "b.json.gz", "bytes": 9, "path": "/v1/b.json.gz" });
        let read = |value| serde_json::from_value(value).unwrap();
        Picture {
            node: Some(
                serde_json::from_value(
                    json!({ "version": "1", "leads": false, "verifiers": [verifier] }),
                )
                .unwrap(),
            ),
            attestations: serde_json::from_value(json!({
                "901": [attestation(120, 88), attestation(110, 50), attestation(100, 0)],
            }))
            .unwrap(),
            evidence: serde_json::from_value(json!({ (hash("d1")): [bundle] })).unwrap(),
            rollups: vec![
                read(rollup(10, json!([]))),
                serde_json::from_value(rollup(901, json!([alert]))).unwrap(),
            ],
            rounds: vec![serde_json::from_value(round).unwrap()],
            alerts: vec![serde_json::from_value(alert).unwrap()],
        }
    }

    fn app() -> App {
        let mut app = App::new("http://a".to_owned());
        app.take(Ok(picture()));
        app
    }

    fn press(app: &mut App, code: KeyCode) -> bool {
        app.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn lines(app: &App) -> Vec<String> {
        let text = text(app, 110, 34).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The line with `word`, its columns one blank apart.
    fn line(app: &App, word: &str) -> String {
        let line = lines(app).into_iter().find(|line| line.contains(word));
        let line = line.unwrap_or_else(|| panic!("no {word} in {:#?}", lines(app)));
        let line = line.replace('\u{2502}', " ");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_rollup_shows_its_heads_rounds_and_alerts() {
        let mut app = app();
        assert_eq!(line(&app, "mach"), "mach http://a rollup 10 (1 of 2)");
        assert_eq!(line(&app, "clean"), "clean: no alert stands");
        assert!(!press(&mut app, KeyCode::Tab));
        assert_eq!(line(&app, "mach"), "mach http://a rollup 901 (2 of 2)");
        assert_eq!(line(&app, "alert stands"), "1 alert stands");
        assert!(line(&app, "unsafe").starts_with("unsafe 122 0xa1a1a1a1\u{2026}a1a1a1"));
        let attested = line(&app, "attested");
        let expected = "attested 120 0xa2a2a2a2\u{2026}a2a2a2 2 behind";
        assert!(attested.starts_with(expected), "{attested}");
        assert!(line(&app, "confirmed").starts_with("confirmed none"));
        let verified = line(&app, "verified");
        let expected = "verified 121 0xa4a4a4a4\u{2026}a4a4a4 1 behind operator-1";
        assert!(verified.starts_with(expected), "{verified}");
        // The oldest on the left: nothing, half and nearly all.
        let stake = line(&app, "stake 88 %, 66 % needed");
        assert!(stake.contains("heads"), "{stake}");
        line(&app, "blocks 100 to 120");
        let bars: Vec<_> = lines(&app)[3..7]
            .iter()
            .map(|line| {
                let inside = line.rsplit('\u{2502}').nth(1).unwrap();
                inside.chars().take(3).collect::<String>()
            })
            .collect();
        assert_eq!(
            bars,
            [
                "  \u{2584}",
                "  \u{2588}",
                " \u{2588}\u{2588}",
                " \u{2588}\u{2588}"
            ]
        );
        assert!(
            lines(&app)
                .iter()
                .any(|line| line.contains("this instance stands by"))
        );
        assert_eq!(
            line(&app, "collecting"),
            "collecting attestation 120 0xa2a2a2a2\u{2026}a2a2a2 55.5 % / 66 % 2 of 3"
        );
        assert_eq!(
            line(&app, "invalid block"),
            "stands invalid block 121 rule 20, parentBeaconBlockRoot 88 % L1 block 4242"
        );
        // Who did not sign the round that is chosen, and why.
        assert_eq!(
            line(&app, "absent"),
            "absent 0x03030303\u{2026}030303 signed up to block 119: is behind"
        );
        press(&mut app, KeyCode::Right);
        assert_eq!(
            line(&app, "computed"),
            format!("computed 0x{}", "c0".repeat(32))
        );
        assert_eq!(line(&app, "evidence"), "evidence /v1/b.json.gz");
        let told = app.told();
        for expected in [
            "round: attestation of block 120",
            "signed up to block 119: is behind",
            "alert: invalid block at block 121, stands",
            "/v1/b.json.gz",
        ] {
            assert!(told.contains(expected), "{told}");
        }
        press(&mut app, KeyCode::Tab);
        assert_eq!(line(&app, "mach"), "mach http://a rollup 10 (1 of 2)");
    }

    /// Whoever raised it, there is no certificate here.
    #[test]
    fn an_alert_that_was_found_on_l1_has_no_stake() {
        let mut picture = picture();
        picture.alerts[0].stake =
            serde_json::from_value(json!({ "percent": 0, "quorums": [] })).unwrap();
        let mut app = App::new("http://a".to_owned());
        app.take(Ok(picture));
        press(&mut app, KeyCode::Tab);
        let line = line(&app, "invalid block");
        assert!(line.ends_with("checked by L1"), "{line}");
        assert!(!line.contains('%'), "{line}");
    }

    #[test]
    fn keys_stay_within_what_is_there() {
        let mut app = App::new("http://a".to_owned());
        for code in [
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Left,
        ] {
            assert!(!press(&mut app, code));
            assert_eq!(line(&app, "no rollup"), "no rollup is served");
        }
        app.take(Ok(picture()));
        press(&mut app, KeyCode::BackTab);
        for _ in 0..5 {
            press(&mut app, KeyCode::Down);
        }
        press(&mut app, KeyCode::Up);
        assert_eq!(app.chosen(), Some(0));
        // Rollups may go while one is shown.
        app.take(Ok(Picture::default()));
        assert_eq!(line(&app, "no rollup"), "no rollup is served");
        assert!(press(&mut app, KeyCode::Char('q')));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(app.press(control_c));
    }

    #[test]
    fn what_was_seen_stays_when_nothing_is_heard() {
        let mut app = app();
        app.take(Err(eyre::eyre!("connection refused")));
        assert_eq!(line(&app, "not heard"), "not heard: connection refused");
        assert!(line(&app, "unsafe").contains("122"));
        // No terminal is too small to draw on.
        for (width, height) in [(1, 1), (10, 3), (300, 80)] {
            text(&app, width, height).unwrap();
        }
    }
}
