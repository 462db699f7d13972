"""Long-term question answering after LA-EQA: houses with habits, questions with exact truth, the present robot."""
