"""Exercises: files with holes to fill, broken ones to repair, and a check of what students wrote.

    pysrcnn exercise start mine
    pysrcnn exercise check mine

`templates` holds the files and `tasks` what each is asked to compute; `running` runs them in a
separate process; `judging` and `slips` say what is wrong, mostly in the words of `gradcheck`;
`grading` applies all this to files and folders.
"""

from .grading import Grade, Verdict, asked_of, check_file, check_folder, students, write_files

__all__ = [
    "Grade",
    "Verdict",
    "asked_of",
    "check_file",
    "check_folder",
    "students",
    "write_files",
]
