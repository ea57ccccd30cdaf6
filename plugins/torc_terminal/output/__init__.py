"""How answers reach the user: tables for people, JSON and CSV for programs. Commands return, this prints."""
