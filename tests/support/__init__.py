"""What tests share: a clock to turn, parts put together in one process, and real services in processes of their own."""
