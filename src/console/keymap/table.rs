//! The rows themselves, most useful first.

use super::reasons as why;
use super::{Action, Contexts, Danger, Group, Row};
use crate::console::message::{Code, Key};

const NONE: Contexts = Contexts::NONE;
const SCREENS: Contexts = Contexts::SCREENS;
const OVERVIEW: Contexts = Contexts::OVERVIEW;
const PAIR: Contexts = Contexts::PAIR;
const FILES: Contexts = Contexts::CONFIGURATION;
const ALERTS: Contexts = Contexts::ALERTS;
const EVENTS: Contexts = Contexts::EVENTS;
const READING: Contexts = Contexts::READING;
const PALETTE: Contexts = Contexts::PALETTE;
const FILTER: Contexts = Contexts::FILTER;
const DIALOG: Contexts = Contexts::DIALOG;
const ENTRY: Contexts = Contexts::ENTRY;
const FORM: Contexts = Contexts::FORM;
const SMALL: Contexts = Contexts::TOO_SMALL;
const HISTORY: Contexts = Contexts::HISTORY;
const DIFF: Contexts = Contexts::DIFF;
const BRANCHES: Contexts = Contexts::BRANCHES;
const OVERLAYS: Contexts = READING.or(HISTORY).or(DIFF).or(BRANCHES);
const LISTS: Contexts = SCREENS.or(OVERLAYS);
const EVERYWHERE: Contexts = LISTS.or(PALETTE).or(FILTER).or(DIALOG).or(ENTRY).or(FORM).or(SMALL);

const fn k(c: char) -> Key {
    Key::ch(c)
}
const UP: Key = Key::plain(Code::Up);
const DOWN: Key = Key::plain(Code::Down);
const LEFT: Key = Key::plain(Code::Left);
const RIGHT: Key = Key::plain(Code::Right);
const PAGE_UP: Key = Key::plain(Code::PageUp);
const PAGE_DOWN: Key = Key::plain(Code::PageDown);
const HOME: Key = Key::plain(Code::Home);
const END: Key = Key::plain(Code::End);
const TAB: Key = Key::plain(Code::Tab);
const BACK_TAB: Key = Key::plain(Code::BackTab);
const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const BACKSPACE: Key = Key::plain(Code::Backspace);
const DELETE: Key = Key::plain(Code::Delete);

macro_rules! rows {
    ($( $action:ident [$($key:expr),*] in $contexts:expr, footer $footer:expr; $group:ident $danger:ident
        $label:literal $help:literal, $reason:expr; )*) => {
        &[ $( Row {
            action: Action::$action,
            keys: &[$($key),*],
            contexts: $contexts,
            footer: $footer,
            group: Group::$group,
            label: $label,
            help: $help,
            danger: Danger::$danger,
            reason: $reason,
        } ),* ]
    };
}

/// Every key of the console.
#[rustfmt::skip]
pub static TABLE: &[Row] = rows![
    Understood [k('u')] in SCREENS, footer OVERVIEW; Pair Plain "understood"
        "Put away the notice of the last change of role, for every console.", why::understood;
    Now [k('r')] in SCREENS, footer OVERVIEW.or(PAIR); Pair Plain "push now"
        "Now: resume during the boot hold, end damping, push again on a master, try the master again on a shadow.", why::now;
    AbortSwitch [k('a')] in SCREENS, footer OVERVIEW.or(PAIR); Pair Plain "end the switch"
        "Master: end a switch under way; possible until the offer of the role is on disk.", why::abort_switch;
    Open [ENTER] in FILES.or(ALERTS).or(EVENTS).or(HISTORY), footer FILES.or(ALERTS).or(EVENTS).or(HISTORY); Look Plain "open"
        "Open the selected directory, file, alert or event; of a revision, what it changed.", why::open;
    Connect [k('c')] in SCREENS, footer PAIR; Pair Plain "connect"
        "Shadow: connect to the master; the first time compares its fingerprint and asks for user and password.", why::connect;
    Edit [k('e')] in SCREENS, footer PAIR.or(FILES); Pair Plain "edit"
        "Edit the settings of the pair; in Configuration, on the master, the selected file in VISUAL or EDITOR.", why::edit;
    SwitchRoles [k('S')] in SCREENS, footer OVERVIEW.or(PAIR); Pair Type "switch roles"
        "Master: hand the role over to the shadow, after every check.", why::switch;
    Maintenance [k('M')] in SCREENS, footer OVERVIEW.or(PAIR); Pair Ask "maintenance"
        "Suspend takeovers for a time, or end that before its time.", why::maintenance;
    DeleteAlert [DELETE] in ALERTS, footer ALERTS; Alerts Plain "delete"
        "Delete the selected alert; it comes back at the next health check while its cause holds.", why::alert;
    DeleteAllAlerts [k('A')] in ALERTS, footer ALERTS; Alerts Ask "delete all"
        "Delete all alerts; those whose cause still holds come back.", why::alert;
    Disconnect [k('D')] in SCREENS, footer PAIR; Pair Ask "disconnect"
        "End the link by order: the shadow will not take over until it is connected again.", why::disconnect;
    BecomeMaster [k('T')] in SCREENS, footer PAIR; Pair Type "take over"
        "Shadow without a master: become master now, by force.", why::become_master;
    BecomeShadow [k('B')] in SCREENS, footer NONE; Pair Type "become shadow"
        "Master without a shadow: stop the service and become shadow, by force.", why::become_shadow;
    Reconnect [k('C')] in SCREENS, footer NONE; Pair Ask "reconnect"
        "Drop the link, connect again and compare every file with the bytes on disk.", why::reconnect;
    Differences [k('d')] in SCREENS.or(HISTORY).or(DIFF).or(BRANCHES), footer FILES.or(HISTORY).or(BRANCHES); Look Plain "differences"
        "Show what differs between this instance and the other; of a revision or branch, from or to the newest.", why::differences;
    WithDirectory [k('w')] in FILES.or(HISTORY).or(DIFF), footer DIFF; Look Plain "with directory"
        "Compare with what is in the directory now: what no revision has, such as files held back.", why::history;
    History [k('t')] in FILES.or(HISTORY), footer FILES.or(HISTORY); Look Plain "history"
        "The revisions that changed the selected path; again: those of the whole configuration.", why::history;
    Restore [k('P')] in HISTORY, footer HISTORY; Look Ask "put back"
        "Master: put the path back, or the whole configuration, as it was at this revision; a new revision.", why::restore;
    Next [k('n')] in FILES.or(DIFF), footer DIFF; Look Plain "next"
        "The next place with what is searched for; else the next compared path, or the next marked file.", why::next;
    Reapply [k('O')] in BRANCHES, footer BRANCHES; Look Ask "re-apply"
        "Master: make what the branch changed once more, where the path has not changed since; conflicts are shown.", why::reapply;
    HeldBack [k('m')] in FILES, footer FILES; Look Plain "held back"
        "Every file that is not mirrored as it is now, with the reason and the line.", why::held_back;
    Previous [k('N')] in FILES.or(DIFF), footer NONE; Look Plain "previous place" "The place before.", why::next;
    Verify [k('v')] in SCREENS, footer FILES.or(PAIR); Look Plain "verify"
        "Read every file on both sides again and list each difference.", why::verify;
    Branches [k('o')] in SCREENS, footer NONE; Look Plain "other branches"
        "Show the revisions kept as branches after both instances had changed the configuration.", why::branches;
    CheckTimeouts [k('i')] in SCREENS, footer NONE; Look Plain "check timeouts"
        "Shadow: measure connections and answers against the real master, and say whether the timeouts hold.", why::timeouts;
    Filter [k('/')] in FILES.or(EVENTS).or(DIFF), footer FILES.or(EVENTS).or(DIFF); Look Plain "filter"
        "Show only what holds this text, * stands for anything; in a file or comparison, search.", why::never;
    ShowSecrets [k('X')] in FILES.or(DIFF), footer FILES.or(DIFF); Look Ask "show secrets"
        "Show masked values of the open file or comparison until it is left; again: mask them.", why::secrets;
    Rehearse [k('b')] in SCREENS, footer NONE; Look Plain "rehearse a switch"
        "Run every check of a switch and say what would happen, without doing it.", why::rehearse;
    Copy [k('y')] in SCREENS.or(READING), footer ALERTS; Look Plain "copy"
        "Copy what the screen is about: fingerprint, file path, alert, event or report.", why::copy;
    Reset [k('R')] in SCREENS, footer PAIR; Pair Ask "reset"
        "Forget the other instance and put the settings of the pair back; refused while connected.", why::reset;
    StopEngine [] in SCREENS, footer NONE; Pair Ask "stop Standin"
        "Planned stop: the service stops first, then the role is handed over.", why::stop;
    StopKeepingRole [] in SCREENS, footer NONE; Pair Ask "stop Standin, keep the role"
        "Planned stop without a hand-over: the shadow is asked for a pause.", why::stop;

    Overview [k('1')] in SCREENS, footer NONE; Move Plain "overview"
        "The pair at a glance: roles, protection, alerts.", why::never;
    Pair [k('2')] in SCREENS, footer NONE; Move Plain "high availability"
        "High Availability on a master, Shadow Connector on a shadow.", why::never;
    Configuration [k('3')] in SCREENS, footer NONE; Move Plain "configuration"
        "The mirrored files.", why::never;
    Alerts [k('4')] in SCREENS, footer OVERVIEW; Move Plain "alerts"
        "What is wrong, what it means, what to do.", why::never;
    Events [k('5')] in SCREENS, footer ALERTS; Move Plain "events"
        "What happened.", why::never;
    NextScreen [TAB] in SCREENS, footer NONE; Move Plain "next screen" "The screen to the right.", why::never;
    PreviousScreen [BACK_TAB] in SCREENS, footer NONE; Move Plain "previous screen" "The screen to the left.", why::never;
    Up [UP, k('k')] in LISTS, footer NONE; Move Plain "up" "One up.", why::never;
    Down [DOWN, k('j')] in LISTS, footer NONE; Move Plain "down" "One down.", why::never;
    Left [LEFT, k('h')] in SCREENS.or(DIFF), footer NONE; Move Plain "left"
        "Fold the directory, or go to the one above; in a file or comparison, back along long lines.", why::never;
    Right [RIGHT, k('l')] in SCREENS.or(DIFF), footer NONE; Move Plain "right"
        "Open the directory or file; in a file or comparison, on along long lines.", why::never;
    PageUp [PAGE_UP, Key::ctrl('b')] in LISTS.or(DIALOG).or(ENTRY), footer NONE; Move Plain "page up" "One page up.", why::never;
    PageDown [PAGE_DOWN, Key::ctrl('f'), k(' ')] in LISTS, footer OVERLAYS; Move Plain "page down" "One page down.", why::never;
    PageDown [PAGE_DOWN, Key::ctrl('f')] in DIALOG.or(ENTRY), footer NONE; Move Plain "page down" "One page down.", why::never;
    Top [HOME, k('g')] in LISTS, footer NONE; Move Plain "top" "To the first.", why::never;
    Bottom [END, k('G')] in LISTS, footer NONE; Move Plain "end"
        "To the last; on Events this follows what comes.", why::never;
    Back [ESC] in LISTS.or(FILTER).or(PALETTE), footer OVERLAYS.or(FILTER).or(PALETTE); Move Plain "back"
        "Back: close what lies on top, end the filter, mask again; never leaves the console.", why::never;

    Palette [k(':')] in SCREENS, footer OVERVIEW.or(EVENTS); Console Plain "command"
        "Every action by name, also those without a key.", why::never;
    Help [k('?')] in LISTS, footer SCREENS; Console Plain "help" "Every key, and what it does.", why::never;
    Leave [k('q'), Key::ctrl('c')] in LISTS.or(SMALL), footer SCREENS; Console Plain "leave"
        "Leave the console; where it started the engine, asks whether that goes on.", why::never;
    Leave [Key::ctrl('c')] in PALETTE.or(FILTER).or(DIALOG).or(ENTRY).or(FORM), footer NONE; Console Plain "leave"
        "As q, also where letters are typed.", why::never;
    Suspend [Key::ctrl('z')] in EVERYWHERE, footer NONE; Console Plain "suspend"
        "Back to the shell until `fg`; not in a console that started the engine.", why::suspend;
    Redraw [Key::ctrl('l')] in EVERYWHERE, footer NONE; Console Plain "draw anew"
        "Draw everything anew, after something else wrote to the terminal.", why::never;

    Confirm [ENTER] in DIALOG.or(ENTRY).or(PALETTE), footer DIALOG.or(ENTRY).or(PALETTE); Dialog Plain "choose"
        "Press the chosen button; in a field, go on to the next.", why::never;
    Confirm [ENTER] in FORM, footer FORM; Dialog Plain "save"
        "Save every changed setting of the form; space turns or picks a value.", why::never;
    Confirm [ENTER] in FILTER, footer FILTER; Dialog Plain "keep the filter"
        "End typing and move in what the filter shows.", why::never;
    NextPlace [TAB, DOWN, RIGHT] in DIALOG, footer DIALOG; Dialog Plain "next" "To the next field or button.", why::never;
    NextPlace [TAB, DOWN] in ENTRY.or(FORM), footer ENTRY.or(FORM); Dialog Plain "next" "To the next field or button.", why::never;
    PreviousPlace [BACK_TAB, UP, LEFT] in DIALOG, footer NONE; Dialog Plain "previous" "One back.", why::never;
    PreviousPlace [BACK_TAB, UP] in ENTRY.or(PALETTE).or(FORM), footer NONE; Dialog Plain "previous" "One back.", why::never;
    NextPlace [TAB, DOWN] in PALETTE, footer PALETTE; Dialog Plain "next" "To the next row.", why::never;
    Cancel [ESC] in DIALOG.or(ENTRY).or(FORM), footer DIALOG.or(ENTRY).or(FORM); Dialog Plain "cancel" "Close without doing anything.", why::never;
    Erase [BACKSPACE] in Contexts::TYPING, footer NONE; Dialog Plain "erase" "Erase the last character.", why::never;
    EraseAll [Key::ctrl('u')] in Contexts::TYPING, footer NONE; Dialog Plain "erase all" "Empty the field.", why::never;
];
