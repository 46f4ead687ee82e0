//! Characters that make a text read otherwise than it is.

/// Whether a character shows nothing or changes how its neighbours show: controls, bidirectional controls (Unicode TR 9),
/// separators of lines, fillers, tags.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}')
}

/// Whether a character shows nothing, or shows something else on another machine (private use).
pub(crate) fn is_deceptive(character: char) -> bool {
    is_invisible(character) || matches!(character, '\u{E000}'..='\u{F8FF}')
}
