//! Topics, one log, many cursors.
