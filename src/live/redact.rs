//! What may be shown of a text that somebody else wrote.
