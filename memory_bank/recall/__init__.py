"""From questions to answers: grammar, queries, sentences, confidence."""
