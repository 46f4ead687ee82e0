//! Phones and My Number cards: registered by a card, signed in with, removed by operators.

mod added;
mod change;
mod confirm;
mod denials;
mod devices;
mod house;
mod letter;
mod my_number;
mod my_number_denials;
mod my_number_renewal;
mod once;
mod sign_in;
