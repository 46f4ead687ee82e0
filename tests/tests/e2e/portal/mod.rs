//! Phones and My Number cards: registered by a card, signed in with, removed by operators.

mod added;
mod at_pc;
mod change;
mod confirm;
mod contact;
mod denials;
mod devices;
mod evidence;
mod house;
mod letter;
mod limits;
mod me;
mod my_number;
mod my_number_confirm;
mod my_number_denials;
mod my_number_house;
mod my_number_renewal;
mod networks;
mod once;
mod own_page;
mod own_page_ends;
mod own_page_races;
mod own_signatures;
mod retire;
mod saved;
mod sign_in;
