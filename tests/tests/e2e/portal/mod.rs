//! Phones: registered by a card, asked by QR code, removed by operators.

mod confirm;
mod denials;
mod devices;
mod house;
mod letter;
mod once;
mod sign_in;
