"""The page of ``knowclip app``: pure functions, their HTML, and Gradio around them."""
