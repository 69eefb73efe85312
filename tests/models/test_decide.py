"""What is said of claims as journalists write them, over the shipped reference base.

The table is of our own writing. A row: day, claim, expected label, expected kind of difference.
``-`` as a label means that anything but a refutation will do: the sentence states no rule, or says
too little; what counts there is that nobody is bothered by a flag.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiemchung import reference
from kiemchung.domain import (
    Checkability,
    Evidence,
    Judgement,
    Label,
    NeiReason,
    PassageKind,
    Speech,
    Status,
)
from models import registry
from models.decide import Outcome, decide
from models.verdict import Verdict, VerdictModel, verdict_of
from nlp.quantities import QuantityKind, extract
from nlp.retrieval import PassageIndex, Retrieved
from nlp.timing import named_documents

NEW = date(2025, 3, 10)
OLD = date(2023, 5, 20)
GAP = date(2023, 11, 5)  # lending rule changed, law not yet

S, R, N, ANY = "SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO", "-"

CASES: tuple[tuple[date, str, str, str], ...] = (
    # --- number of founders
    (NEW, "Theo Luật Hợp tác xã năm 2023, muốn thành lập hợp tác xã phải có ít nhất 5 thành viên chính thức.", S, ""),
    (NEW, "Chỉ cần 5 thành viên chính thức tự nguyện là có thể thành lập một hợp tác xã.", S, ""),
    (NEW, "Luật mới quy định HTX được thành lập khi có từ 5 thành viên chính thức trở lên.", S, ""),
    (NEW, "HTX do tối thiểu 05 thành viên chính thức tự nguyện thành lập.", S, ""),
    (NEW, "Hợp tác xã do năm thành viên chính thức trở lên tự nguyện thành lập, theo luật hiện hành.", S, ""),
    (NEW, "Muốn thành lập hợp tác xã phải có ít nhất 7 thành viên.", R, "law_expired"),
    (NEW, "Luật Hợp tác xã yêu cầu tối thiểu 7 thành viên mới được thành lập HTX.", R, "law_expired"),
    (NEW, "Theo quy định hiện hành, hợp tác xã phải do ít nhất 10 thành viên chính thức tự nguyện thành lập.", R, "number"),
    (NEW, "Để thành lập một HTX, pháp luật đòi hỏi tối thiểu 15 thành viên chính thức.", R, "number"),
    (NEW, "Luật quy định chỉ cần 2 thành viên chính thức là đủ để thành lập hợp tác xã.", R, "number"),
    (NEW, "Hợp tác xã do tối đa 5 thành viên chính thức tự nguyện thành lập.", R, "number"),
    (OLD, "Muốn thành lập hợp tác xã phải có ít nhất 7 thành viên.", S, ""),
    (OLD, "HTX phải do tối thiểu 7 thành viên tự nguyện thành lập.", S, ""),
    (OLD, "Luật quy định ít nhất 5 thành viên tự nguyện là được thành lập hợp tác xã.", R, "law_expired"),
    (NEW, "Số thành viên tối thiểu để thành lập hợp tác xã giảm từ 7 thành viên xuống còn 5 thành viên chính thức.", S, ""),
    (NEW, "Thành lập hợp tác xã nay chỉ cần 5 thành viên chính thức, thay vì 7 thành viên như trước.", S, ""),
    (NEW, "Trước đây phải có 7 thành viên mới thành lập được hợp tác xã, nay chỉ cần 5 thành viên chính thức.", S, ""),
    (NEW, "Luật mới hạ điều kiện thành lập hợp tác xã từ 7 xuống 5 thành viên chính thức.", S, ""),
    (NEW, "Số thành viên tối thiểu để thành lập hợp tác xã tăng từ 5 thành viên lên 7 thành viên chính thức.", R, ""),
    (NEW, "Thành lập hợp tác xã nay phải có 9 thành viên chính thức, thay vì 7 thành viên như trước.", R, "number"),
    # --- union
    (NEW, "Liên hiệp hợp tác xã do ít nhất 3 hợp tác xã là thành viên chính thức tự nguyện thành lập.", S, ""),
    (NEW, "Muốn thành lập liên hiệp HTX phải có tối thiểu 3 hợp tác xã.", S, ""),
    (NEW, "Luật quy định liên hiệp hợp tác xã phải có ít nhất 6 hợp tác xã tự nguyện thành lập.", R, "number"),
    # --- capital caps
    (NEW, "Mỗi thành viên chính thức được góp vốn không quá 30% vốn điều lệ của hợp tác xã.", S, ""),
    (NEW, "Theo luật, vốn góp của một thành viên chính thức tối đa là 30% vốn điều lệ HTX.", S, ""),
    (NEW, "Vốn góp của mỗi thành viên không được vượt quá 20% vốn điều lệ của hợp tác xã.", R, "law_expired"),
    (NEW, "Mỗi thành viên chính thức được góp tối đa 50% vốn điều lệ của hợp tác xã.", R, "number"),
    (NEW, "Mỗi thành viên chính thức được góp vốn không giới hạn vào vốn điều lệ của hợp tác xã.", R, "exaggeration"),
    (NEW, "Mức góp vốn tối đa của thành viên chính thức tại hợp tác xã là 40% vốn điều lệ.", R, ""),
    (NEW, "Vốn góp của mỗi thành viên chính thức không quá 40% vốn điều lệ của liên hiệp hợp tác xã.", S, ""),
    (NEW, "Trần góp vốn của thành viên hợp tác xã được nâng từ 20% lên 30% vốn điều lệ.", S, ""),
    (NEW, "Trần góp vốn của thành viên chính thức vào vốn điều lệ hợp tác xã giảm từ 30% xuống 20%.", R, ""),
    (OLD, "Vốn góp của mỗi thành viên không quá 20% vốn điều lệ của hợp tác xã.", S, ""),
    (OLD, "Vốn góp của mỗi thành viên không quá 30% vốn điều lệ của hợp tác xã.", R, "law_expired"),
    (NEW, "Vốn góp tối đa của thành viên chính thức là 30% vốn điều lệ đối với hợp tác xã và 40% vốn điều lệ đối với liên hiệp hợp tác xã.", S, ""),
    (NEW, "Vốn góp tối đa của thành viên chính thức là 40% vốn điều lệ đối với hợp tác xã và 30% vốn điều lệ đối với liên hiệp hợp tác xã.", R, "merge_split"),
    (NEW, "Tổng vốn góp của tất cả thành viên liên kết góp vốn không quá 30% vốn điều lệ của hợp tác xã.", S, ""),
    (NEW, "Tổng vốn góp của tất cả thành viên liên kết góp vốn không quá 49% vốn điều lệ của hợp tác xã.", R, "number"),
    (NEW, "Tổng vốn góp của nhà đầu tư nước ngoài không quá 30% vốn điều lệ của hợp tác xã.", S, ""),
    (NEW, "Tổng vốn góp của nhà đầu tư nước ngoài được phép lên tới 49% vốn điều lệ của hợp tác xã.", R, "number"),
    (NEW, "Thành viên chính thức là nhà đầu tư nước ngoài phải chiếm dưới 35% tổng số thành viên chính thức của hợp tác xã.", S, ""),
    (NEW, "Thành viên chính thức là nhà đầu tư nước ngoài được chiếm tới 51% tổng số thành viên chính thức của hợp tác xã.", R, "number"),
    # --- paying in
    (NEW, "Thành viên phải góp đủ vốn chậm nhất 6 tháng kể từ ngày hợp tác xã được cấp giấy chứng nhận đăng ký.", S, ""),
    (NEW, "Thời hạn góp đủ vốn chậm nhất là 06 tháng kể từ ngày HTX được cấp giấy chứng nhận đăng ký.", S, ""),
    (NEW, "Thành viên phải góp đủ vốn chậm nhất 12 tháng kể từ ngày hợp tác xã được cấp giấy chứng nhận đăng ký.", R, "number"),
    (NEW, "Thành viên phải góp đủ vốn chậm nhất 3 tháng kể từ ngày hợp tác xã được cấp giấy chứng nhận đăng ký.", R, "number"),
    # --- internal credit and lending
    (OLD, "Hợp tác xã được hoạt động tín dụng nội bộ theo Luật Hợp tác xã năm 2012.", S, ""),
    (GAP, "Từ ngày 1/9/2023, hợp tác xã phải chấm dứt hoạt động tín dụng nội bộ theo Luật Hợp tác xã năm 2012.", S, ""),
    (GAP, "Hợp tác xã vẫn được hoạt động tín dụng nội bộ theo Luật Hợp tác xã năm 2012.", R, ""),
    (NEW, "Hợp tác xã vẫn được hoạt động tín dụng nội bộ theo Luật Hợp tác xã năm 2012.", R, ""),
    (GAP, "Từ ngày 1/1/2025, hợp tác xã phải chấm dứt hoạt động tín dụng nội bộ theo Luật Hợp tác xã năm 2012.", R, "date"),
    (NEW, "Hợp tác xã chỉ được cho vay nội bộ đối với thành viên chính thức, không vì mục tiêu lợi nhuận.", S, ""),
    (NEW, "HTX được cho vay nội bộ đối với thành viên liên kết.", R, "actor"),
    (NEW, "Hợp tác xã được cho vay nội bộ đối với bất kỳ ai có nhu cầu.", R, "condition_dropped"),
    (NEW, "Luật cho phép hợp tác xã cho vay nội bộ với mọi người, kể cả người ngoài.", R, ""),
    (NEW, "Thời hạn cho vay nội bộ của hợp tác xã đối với thành viên chính thức không quá 12 tháng.", S, ""),
    (NEW, "Khoản vay nội bộ của thành viên chính thức tại HTX có thời hạn tối đa 1 năm.", S, ""),
    (NEW, "Thời hạn cho vay nội bộ của hợp tác xã đối với thành viên chính thức không quá 24 tháng.", R, "number"),
    (NEW, "Thời hạn cho vay nội bộ của hợp tác xã đối với thành viên chính thức không bị giới hạn.", R, "exaggeration"),
    (NEW, "Cho vay nội bộ của hợp tác xã không phải là hoạt động ngân hàng.", S, ""),
    (NEW, "Cho vay nội bộ của hợp tác xã là hoạt động ngân hàng.", R, "negation"),
    (NEW, "Để cho vay nội bộ, hợp tác xã phải có Ban kiểm soát từ 3 thành viên trở lên.", S, ""),
    (NEW, "Để cho vay nội bộ, hợp tác xã chỉ cần Ban kiểm soát 1 thành viên.", R, "number"),
    (NEW, "Hợp tác xã không được dùng vốn huy động trong và ngoài thành viên để cho vay nội bộ.", S, ""),
    (NEW, "Hợp tác xã được dùng vốn huy động trong và ngoài thành viên để cho vay nội bộ.", R, "negation"),
    (NEW, "Việc cho vay nội bộ phải được Đại hội thành viên thông qua và quy định trong Điều lệ.", S, ""),
    (NEW, "Việc cho vay nội bộ phải được Hội đồng quản trị thông qua và quy định trong Điều lệ.", R, "actor"),
    # --- votes and meetings
    (NEW, "Mỗi thành viên chính thức dự đại hội toàn thể của hợp tác xã có 1 phiếu biểu quyết ngang nhau, không phụ thuộc vào vốn góp.", S, ""),
    (NEW, "Mỗi thành viên chính thức có một phiếu biểu quyết ngang nhau tại đại hội toàn thể của hợp tác xã.", S, ""),
    (NEW, "Mỗi thành viên chính thức dự đại hội toàn thể của hợp tác xã có số phiếu biểu quyết phụ thuộc vào vốn góp.", R, "negation"),
    (NEW, "Thành viên liên kết được dự và phát biểu tại Đại hội thành viên khi được mời nhưng không được biểu quyết.", S, ""),
    (NEW, "Thành viên liên kết được dự, phát biểu và được biểu quyết tại Đại hội thành viên.", R, "negation"),
    (NEW, "Thành viên liên kết có quyền biểu quyết tại Đại hội thành viên.", R, "negation"),
    (NEW, "Sửa đổi Điều lệ hợp tác xã phải được ít nhất 65% tổng số phiếu biểu quyết tán thành tại Đại hội thành viên.", S, ""),
    (NEW, "Giải thể hợp tác xã phải được ít nhất 75% tổng số phiếu biểu quyết tán thành tại Đại hội thành viên.", R, "number"),
    (NEW, "Hội đồng quản trị có tối thiểu 3 người, tối đa 15 người, theo Luật Hợp tác xã.", S, ""),
    (NEW, "Hội đồng quản trị hợp tác xã có tối thiểu 5 người, tối đa 15 người.", R, "number"),
    (NEW, "Nhiệm kỳ của Hội đồng quản trị hợp tác xã tối đa là 5 năm.", S, ""),
    (NEW, "Nhiệm kỳ của Hội đồng quản trị hợp tác xã tối đa là 7 năm.", R, "number"),
    (NEW, "Thành viên Hội đồng quản trị có thể được bầu lại với số nhiệm kỳ không hạn chế.", S, ""),
    (NEW, "Hội đồng quản trị hợp tác xã họp định kỳ ít nhất 3 tháng một lần.", S, ""),
    (NEW, "Hội đồng quản trị hợp tác xã họp định kỳ ít nhất 12 tháng một lần.", R, "number"),
    (NEW, "Hội đồng quản trị liên hiệp hợp tác xã họp định kỳ ít nhất 6 tháng một lần.", S, ""),
    (NEW, "Ban kiểm soát của hợp tác xã có từ 1 đến 7 thành viên.", S, ""),
    (NEW, "Ban kiểm soát của hợp tác xã có từ 3 đến 11 thành viên.", R, "number"),
    (NEW, "Nhiệm kỳ của Giám đốc hợp tác xã tối đa 5 năm.", S, ""),
    (NEW, "Nhiệm kỳ của Giám đốc hợp tác xã tối đa 3 năm.", R, "number"),
    (NEW, "Chủ tịch Hội đồng quản trị có thể kiêm Giám đốc hợp tác xã trong tổ chức quản trị đầy đủ.", S, ""),
    (NEW, "Chủ tịch Hội đồng quản trị không được kiêm Giám đốc hợp tác xã.", R, "negation"),
    (NEW, "Đại hội thành viên là cơ quan quyết định cao nhất của hợp tác xã.", S, ""),
    (NEW, "Hội đồng quản trị là cơ quan quyết định cao nhất của hợp tác xã.", R, "actor"),
    (NEW, "Đại hội thành viên của hợp tác xã họp thường niên mỗi năm một lần.", S, ""),
    (NEW, "Hợp tác xã từ 50 thành viên chính thức trở lên được tổ chức đại hội đại biểu.", S, ""),
    (NEW, "Hợp tác xã từ 100 thành viên chính thức trở lên mới được tổ chức đại hội đại biểu.", R, "number"),
    (NEW, "Đại hội thành viên thường niên phải được triệu tập trong 4 tháng kể từ ngày kết thúc năm tài chính.", S, ""),
    (NEW, "Đại hội thành viên thường niên phải được triệu tập trong 6 tháng kể từ ngày kết thúc năm tài chính.", R, "number"),
    (NEW, "Thông báo triệu tập Đại hội thành viên phải gửi đến từng thành viên ít nhất 3 ngày trước ngày khai mạc.", S, ""),
    (NEW, "Thông báo triệu tập Đại hội thành viên phải gửi đến từng thành viên ít nhất 15 ngày trước ngày khai mạc.", R, "number"),
    (NEW, "Đại hội thành viên được họp trực tiếp, trực tuyến hoặc kết hợp cả hai hình thức.", S, ""),
    (NEW, "Đại hội thành viên hợp tác xã không được họp trực tuyến.", R, "negation"),
    # --- membership
    (NEW, "Thành viên hợp tác xã có 3 loại: thành viên chính thức, thành viên liên kết góp vốn và thành viên liên kết không góp vốn.", S, ""),
    (NEW, "Thành viên hợp tác xã có 2 loại: thành viên chính thức và thành viên liên kết góp vốn.", R, "number"),
    (NEW, "Cá nhân là công dân Việt Nam phải từ đủ 18 tuổi trở lên mới được làm thành viên chính thức của hợp tác xã.", S, ""),
    (NEW, "Cá nhân là công dân Việt Nam phải từ đủ 21 tuổi trở lên mới được làm thành viên chính thức của hợp tác xã.", R, "number"),
    (NEW, "Thành viên hợp tác xã được đồng thời là thành viên của nhiều hợp tác xã, trừ khi Điều lệ quy định khác.", S, ""),
    (NEW, "Trong mọi trường hợp, thành viên hợp tác xã được đồng thời là thành viên của nhiều hợp tác xã.", R, "condition_dropped"),
    (NEW, "Thành viên hợp tác xã không được đồng thời là thành viên của nhiều hợp tác xã.", R, "negation"),
    (NEW, "Thành viên góp vốn chịu trách nhiệm về nợ của hợp tác xã trong phạm vi vốn góp.", S, ""),
    (NEW, "Thành viên góp vốn phải chịu trách nhiệm về nợ của hợp tác xã bằng toàn bộ tài sản của mình.", R, ""),
    (NEW, "Thành viên liên kết không góp vốn phải nộp phí thành viên theo Điều lệ.", S, ""),
    (NEW, "Thành viên liên kết không góp vốn không phải nộp phí thành viên.", R, "negation"),
    (NEW, "Hợp tác xã không phân biệt giới tính, địa vị xã hội, dân tộc hoặc tôn giáo đối với cá nhân tham gia.", S, ""),
    (NEW, "Thành viên có quyền ra khỏi hợp tác xã theo Luật và Điều lệ.", S, ""),
    (NEW, "Thành viên không có quyền ra khỏi hợp tác xã.", R, "negation"),
    # --- organisation, registration
    (NEW, "Hợp tác xã là tổ chức có tư cách pháp nhân.", S, ""),
    (NEW, "Hợp tác xã không có tư cách pháp nhân.", R, "negation"),
    (NEW, "Tên tiếng Việt của hợp tác xã phải bắt đầu bằng cụm từ “Hợp tác xã”.", S, ""),
    (NEW, "Tên tiếng Việt của hợp tác xã không bắt buộc bắt đầu bằng cụm từ “Hợp tác xã”.", R, "negation"),
    (NEW, "Cơ quan đăng ký kinh doanh cấp Giấy chứng nhận đăng ký hợp tác xã trong 3 ngày làm việc kể từ ngày nhận hồ sơ hợp lệ.", S, ""),
    (NEW, "Cơ quan đăng ký kinh doanh cấp Giấy chứng nhận đăng ký hợp tác xã trong 30 ngày làm việc kể từ ngày nhận hồ sơ hợp lệ.", R, "number"),
    (NEW, "Hợp tác xã phải luôn có ít nhất 1 người đại diện theo pháp luật cư trú tại Việt Nam.", S, ""),
    (NEW, "Hợp tác xã được kinh doanh, sản xuất trong những ngành, nghề mà pháp luật không cấm.", S, ""),
    (NEW, "Hợp tác xã được lập chi nhánh, văn phòng đại diện ở nước ngoài.", S, ""),
    (NEW, "Hợp tác xã không được lập chi nhánh, văn phòng đại diện ở nước ngoài.", R, "negation"),
    (NEW, "Hợp tác xã quy mô nhỏ, vừa, lớn phải tổ chức quản trị đầy đủ.", S, ""),
    # --- policy
    (NEW, "Không thu lệ phí đăng ký đối với tổ hợp tác.", S, ""),
    (NEW, "Phần thu nhập hình thành quỹ chung không chia của hợp tác xã được miễn thuế thu nhập doanh nghiệp.", S, ""),
    (NEW, "Quỹ hỗ trợ phát triển hợp tác xã hoạt động không vì mục tiêu lợi nhuận.", S, ""),
    (NEW, "Tổ hợp tác phải có Giấy chứng nhận đăng ký tổ hợp tác mới được xem xét hưởng chính sách hỗ trợ.", S, ""),
    (NEW, "Tổ hợp tác không cần Giấy chứng nhận đăng ký tổ hợp tác vẫn được xem xét hưởng chính sách hỗ trợ.", R, ""),
    (NEW, "Hợp tác xã thuê đất của Nhà nước để sản xuất, kinh doanh được miễn, giảm tiền thuê đất.", S, ""),
    # --- source
    (NEW, "Theo Điều 15 Luật Hợp tác xã 2023, hợp tác xã do ít nhất 5 thành viên chính thức tự nguyện thành lập.", R, "wrong_source"),
    (NEW, "Theo Điều 4 Luật Hợp tác xã 2023, hợp tác xã do ít nhất 5 thành viên chính thức tự nguyện thành lập.", S, ""),
    (NEW, "Khoản 1 Điều 74 Luật Hợp tác xã năm 2023 quy định vốn góp của mỗi thành viên chính thức không quá 30% vốn điều lệ của hợp tác xã.", S, ""),
    (NEW, "Điều 20 Luật Hợp tác xã năm 2023 quy định vốn góp của mỗi thành viên chính thức không quá 30% vốn điều lệ của hợp tác xã.", R, "wrong_source"),
    # --- statistics: the same series, another series, another day
    (NEW, "Theo Liên minh Hợp tác xã Việt Nam, đến hết năm 2024 cả nước có 33.557 hợp tác xã.", S, ""),
    (NEW, "Theo Liên minh HTX Việt Nam, cuối năm 2024 cả nước có hơn 33.500 hợp tác xã.", S, ""),
    (NEW, "Theo Liên minh Hợp tác xã Việt Nam, đến hết năm 2024 cả nước có 43.557 hợp tác xã.", R, "number"),
    (NEW, "Theo Tổng cục Thống kê, đến hết năm 2024 cả nước có 31.700 hợp tác xã.", ANY, ""),
    (NEW, "Theo Liên minh Hợp tác xã Việt Nam, đến hết năm 2021 cả nước có 27.000 hợp tác xã.", ANY, ""),
    (NEW, "Cả nước hiện có khoảng 35.000 hợp tác xã.", ANY, ""),
    (date(2023, 4, 7), "Theo Bộ Kế hoạch và Đầu tư, năm 2022 cả nước có 125 liên hiệp hợp tác xã.", S, ""),
    (date(2023, 4, 7), "Theo Bộ Kế hoạch và Đầu tư, năm 2022 cả nước có 215 liên hiệp hợp tác xã.", R, "number"),
    (date(2023, 4, 7), "Theo Bộ KH&ĐT, năm 2022 cả nước có 71 nghìn tổ hợp tác.", S, ""),
    # --- not to be refuted: no rule, opinion, proposal, one cooperative, rumour, question, abroad
    (NEW, "Quy định tối thiểu 5 thành viên chính thức để thành lập hợp tác xã là quá thấp.", ANY, ""),
    (NEW, "Theo tôi, nên để 7 thành viên mới được thành lập hợp tác xã thì hơn.", ANY, ""),
    (NEW, "Một số đại biểu đề xuất nâng lại mức tối thiểu 7 thành viên khi thành lập hợp tác xã.", ANY, ""),
    (NEW, "HTX Nông nghiệp Tân Tiến được thành lập năm 2024 với 9 thành viên.", ANY, ""),
    (NEW, "Hợp tác xã Minh Châu hiện có 42 thành viên chính thức, trong đó 30 người là phụ nữ.", ANY, ""),
    (NEW, "Thông tin thành lập hợp tác xã phải có 7 thành viên là không đúng.", ANY, ""),
    (NEW, "Có phải thành lập hợp tác xã cần ít nhất 7 thành viên?", ANY, ""),
    (NEW, "Ở Nhật Bản, muốn thành lập hợp tác xã phải có ít nhất 15 thành viên.", ANY, ""),
    (NEW, "Không phải mọi thành viên đều được vay nội bộ tại hợp tác xã.", ANY, ""),
    (NEW, "Việc góp vốn vào hợp tác xã được nhiều thành viên quan tâm.", ANY, ""),
    (NEW, "Ông Nguyễn Văn Sáu đã góp 50% vốn để khôi phục xưởng chế biến của hợp tác xã.", ANY, ""),
    (NEW, "Đại hội thành viên của hợp tác xã diễn ra trong không khí sôi nổi.", ANY, ""),
    (NEW, "Hội đồng quản trị phải thật sự vì thành viên thì hợp tác xã mới bền.", ANY, ""),
    (NEW, "Nhiều hợp tác xã mong muốn thời hạn vay nội bộ được nâng lên 24 tháng.", ANY, ""),
    (NEW, "Giá mà vốn góp của mỗi thành viên được nâng lên 50% vốn điều lệ hợp tác xã.", ANY, ""),
    (NEW, "Ban kiểm soát làm việc tận tụy, không phân biệt ngày đêm.", ANY, ""),
    (NEW, "Dự thảo quy định hợp tác xã phải do ít nhất 3 thành viên chính thức thành lập.", ANY, ""),
    (NEW, "Các hợp tác xã đã trồng mới 300 ha rừng và thu hút 1.200 thành viên trong năm qua.", ANY, ""),
    (NEW, "Luật Hợp tác xã năm 2023 gồm 12 chương, 115 điều.", ANY, ""),
    (NEW, "Nhà nước hỗ trợ hợp tác xã chuyển đổi số bằng 200 triệu đồng mỗi đơn vị.", ANY, ""),
    (NEW, "Thật vô lý khi hợp tác xã phải có ít nhất 7 thành viên.", ANY, ""),
    (NEW, "Liệu mức trần 20% vốn điều lệ có còn phù hợp với hợp tác xã?", ANY, ""),
)  # fmt: skip

PAIRS_IN_TIME = tuple(
    (day, claim, label)
    for day, claim, label in (
        (date(2024, 6, 30), "Hợp tác xã do ít nhất 7 thành viên tự nguyện thành lập.", S),
        (date(2024, 7, 1), "Hợp tác xã do ít nhất 7 thành viên tự nguyện thành lập.", R),
        (date(2024, 6, 30), "Hợp tác xã do ít nhất 5 thành viên tự nguyện thành lập.", R),
        (date(2024, 7, 1), "Hợp tác xã do ít nhất 5 thành viên chính thức tự nguyện thành lập.", S),
        (
            date(2024, 6, 30),
            "Vốn góp của mỗi thành viên không quá 20% vốn điều lệ của hợp tác xã.",
            S,
        ),
        (
            date(2024, 7, 1),
            "Vốn góp của mỗi thành viên không quá 20% vốn điều lệ của hợp tác xã.",
            R,
        ),
        (
            date(2024, 6, 30),
            "Vốn góp của mỗi thành viên không quá 30% vốn điều lệ của hợp tác xã.",
            R,
        ),
        (
            date(2024, 7, 1),
            "Vốn góp của mỗi thành viên không quá 30% vốn điều lệ của hợp tác xã.",
            S,
        ),
        (date(2023, 8, 31), "Hợp tác xã được hoạt động tín dụng nội bộ.", S),
        (date(2023, 9, 1), "Hợp tác xã được hoạt động tín dụng nội bộ.", R),
        (date(2023, 8, 31), "Hợp tác xã không được hoạt động tín dụng nội bộ.", R),
        (date(2023, 9, 1), "Hợp tác xã không được hoạt động tín dụng nội bộ.", S),
    )
)


@cache
def _base() -> tuple[reference.ReferenceBase, PassageIndex]:
    base = reference.load()
    return base, PassageIndex(base.passages, base.documents)


def said(
    text: str,
    day: date,
    *,
    speech: Speech = Speech.OWN_VOICE,
    checkability: Checkability = Checkability.CHECKABLE,
    model: VerdictModel | None = None,
) -> Outcome:
    base, index = _base()
    chosen = model or registry.load_default()
    return decide(
        text,
        speech=speech,
        checkability=checkability,
        retrieved=index.retrieve(text, day),
        predecessors={p.passage_id: p for p in base.passages},
        documents={d.doc_id: d for d in base.documents},
        named=named_documents(text, base.documents),
        model=chosen,
        threshold=chosen.threshold,
    )


class Fixed:
    """A model that always answers the same; to see what the rules do alone."""

    model_id = "fixed"
    threshold = 0.9

    def __init__(self, *p: float) -> None:
        self.p = p

    def judge(self, claim: str, evidence: str) -> Verdict:
        return verdict_of(self.p)


def test_the_table_is_large_and_has_no_twins() -> None:
    assert len(CASES) >= 150
    assert len({(day, claim) for day, claim, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize(("day", "claim", "label", "kind"), CASES, ids=range(len(CASES)))
def test_case(day: date, claim: str, label: str, kind: str) -> None:
    found = said(claim, day)
    assert found.status is not Status.FAILED, found.error
    if label == ANY:
        assert found.label is not Label.REFUTED, found.differences
        assert not found.flagged
        return
    assert str(found.label) == label, (found.nei_reason, found.differences)
    if label == R:
        assert found.flagged
        kinds = {str(d.kind) for d in found.differences}
        assert kinds, "a refutation names its difference"
        assert not kind or kind in kinds, kinds
        for difference in found.differences:
            assert (
                claim[difference.start : difference.end] == difference.claim
                or difference.start == -1
            )
    else:
        assert not found.differences
        assert not found.flagged


@pytest.mark.parametrize(("day", "claim", "label"), PAIRS_IN_TIME)
def test_the_law_of_the_day_decides(day: date, claim: str, label: str) -> None:
    found = said(claim, day)
    assert str(found.label) == label, found.differences
    if label == R:
        assert found.flagged
        assert {str(d.kind) for d in found.differences} <= {"law_expired", "negation"}


@pytest.mark.parametrize("speech", list(Speech))
def test_a_claim_repeated_to_rebut_it_is_never_flagged(speech: Speech) -> None:
    found = said("Muốn thành lập hợp tác xã phải có ít nhất 7 thành viên.", NEW, speech=speech)
    assert found.flagged is (speech is not Speech.REBUTTAL)


@pytest.mark.parametrize("kind", [k for k in Checkability if k is not Checkability.CHECKABLE])
def test_what_is_not_checkable_is_not_judged(kind: Checkability) -> None:
    claim = "Muốn thành lập hợp tác xã phải có ít nhất 7 thành viên."
    found = said(claim, NEW, checkability=kind)
    assert found.status is Status.ABSTAINED
    assert found.label is None
    assert not found.flagged


def test_no_difference_no_refutation_however_sure_the_model() -> None:
    claim = "Hợp tác xã do ít nhất 5 thành viên chính thức tự nguyện thành lập."
    found = said(claim, NEW, model=Fixed(0.01, 0.98, 0.01))
    assert found.label is not Label.REFUTED
    assert not found.flagged


def test_a_soft_finding_yields_to_a_model_that_is_sure_of_the_opposite() -> None:
    claim = "Hội đồng quản trị là cơ quan quyết định cao nhất của hợp tác xã."
    assert said(claim, NEW, model=Fixed(0.1, 0.5, 0.4)).label is Label.REFUTED
    held = said(claim, NEW, model=Fixed(0.99, 0.005, 0.005))
    assert held.status is Status.ABSTAINED
    assert not held.flagged


def test_a_model_that_fails_is_a_failed_judgement() -> None:
    class Broken:
        model_id = "broken"
        threshold = 0.9

        def judge(self, claim: str, evidence: str) -> Verdict:
            raise MemoryError("no room")

    found = said("Muốn thành lập hợp tác xã phải có ít nhất 7 thành viên.", NEW, model=Broken())
    assert found.status is Status.FAILED
    assert "no room" in found.error
    assert found.p_refuted is None


def test_nothing_on_point_is_not_enough_with_the_reason_of_retrieval() -> None:
    for reason in NeiReason:
        found = decide(
            "Hợp tác xã trồng 5 ha chè.",
            speech=Speech.OWN_VOICE,
            checkability=Checkability.CHECKABLE,
            retrieved=Retrieved(found=(), reason=reason),
            predecessors={},
            documents={},
            named=(),
            model=Fixed(0.0, 1.0, 0.0),
            threshold=0.9,
        )
        assert found.label is Label.NOT_ENOUGH_INFO
        assert found.nei_reason is reason
        assert not found.flagged


def test_predecessors_may_map_an_id_to_the_version_before() -> None:
    base, index = _base()
    by_id = {p.passage_id: p for p in base.passages}
    before = {p.passage_id: by_id[p.supersedes] for p in base.passages if p.supersedes}
    claim = "Vốn góp của mỗi thành viên không được vượt quá 20% vốn điều lệ của hợp tác xã."
    found = decide(
        claim,
        speech=Speech.OWN_VOICE,
        checkability=Checkability.CHECKABLE,
        retrieved=index.retrieve(claim, NEW),
        predecessors=before,
        documents={d.doc_id: d for d in base.documents},
        named=(),
        model=Fixed(0.2, 0.6, 0.2),
        threshold=0.9,
    )
    assert {str(d.kind) for d in found.differences} == {"law_expired"}


def test_shown_is_judged() -> None:
    _, index = _base()
    claim = "Muốn thành lập hợp tác xã phải có ít nhất 7 thành viên."
    shown = {e.passage_id for _, e in index.retrieve(claim, NEW).found}
    assert {e.passage_id for e in said(claim, NEW).evidence} == shown


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_text_ends_in_a_valid_judgement(text: str) -> None:
    found = said(text, NEW)
    Judgement(
        judgement_id="j",
        mention_id="m",
        run_id="r",
        model_id="x",
        base_version="v",
        threshold=0.9,
        status=found.status,
        label=found.label,
        nei_reason=found.nei_reason,
        p_supported=found.p_supported,
        p_refuted=found.p_refuted,
        p_nei=found.p_nei,
        flagged=found.flagged,
        evidence=found.evidence,
        differences=found.differences,
        error=found.error,
    )
    assert found.status is not Status.FAILED, found.error


@given(
    st.sampled_from([c for c in CASES if c[2] == R]),
    st.sampled_from(["", "Được biết, ", "Cụ thể, "]),
)
@settings(max_examples=60, deadline=None)
def test_an_opening_word_changes_nothing(case: tuple[date, str, str, str], opening: str) -> None:
    day, claim, _, _ = case
    text = opening + (
        claim[:1].lower() + claim[1:] if opening and not claim.startswith("HTX") else claim
    )
    assert said(text, day).label is Label.REFUTED


def test_every_flag_rests_on_an_on_point_passage() -> None:
    for day, claim, label, _ in CASES:
        if label != R:
            continue
        found = said(claim, day)
        assert any(isinstance(e, Evidence) and e.on_point for e in found.evidence)


def test_no_passage_is_refuted_by_its_own_words() -> None:
    """In the days after it took effect, every rule of the base may be told in its own words."""
    base, _ = _base()
    supported = 0
    for passage in base.passages:
        found = said(passage.text, passage.valid_from)
        assert found.label is not Label.REFUTED, (passage.passage_id, found.differences)
        supported += found.label is Label.SUPPORTED
    assert supported >= 0.9 * len(base.passages)


def test_a_changed_number_is_never_supported() -> None:
    """Of each rule with one value of its own, another value in its place."""
    base, _ = _base()
    wrong = refuted = total = 0
    for passage in base.passages:
        values = [
            q
            for q in extract(passage.text).quantities
            if q.kind in {QuantityKind.COUNT, QuantityKind.PERCENT, QuantityKind.DURATION}
            and q.upper is None
            and q.text[:1].isdigit()
        ]
        if len(values) != 1 or passage.kind is PassageKind.STATISTIC:
            continue
        value = values[0]
        digits = re.match(r"[\d.,]+", value.text)
        assert digits is not None
        other = str(int(value.value) * 3 + 1)
        text = passage.text[: value.start] + other + passage.text[value.start + digits.end() :]
        found = said(text, passage.valid_from)
        total += 1
        wrong += found.label is Label.SUPPORTED
        refuted += found.label is Label.REFUTED
    assert total >= 40
    assert wrong <= 0.03 * total, (wrong, total)
    assert refuted >= 0.85 * total, (refuted, total)
